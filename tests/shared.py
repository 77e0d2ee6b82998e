"""Fixtures of tests in several folders: a scene, a proxy before its database, a fake sink, no settings."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import FakeSink, fake_sink
from fakes.postgres_proxy import Proxy, postgres_proxy
from outboxctl.settings import all_names
from scene import Scene


@pytest.fixture
def scene(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> Scene:
    """This test's database and index."""
    return Scene(sql, engine, index)


@pytest.fixture
def database_proxy(url: str) -> Iterator[Proxy]:
    """A proxy in front of this test's database."""
    with postgres_proxy(url) as proxy:
        yield proxy


@pytest.fixture
def sink() -> Iterator[FakeSink]:
    """A healthy fake; give it a script."""
    with fake_sink() as sink:
        yield sink


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in the environment nor in a `.env` here."""
    monkeypatch.chdir(tmp_path)
    for name in all_names():
        monkeypatch.delenv(name, raising=False)
