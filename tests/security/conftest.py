"""Authorities and logins of a session's own; making either takes a moment."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from operations.doctor.ward import Ward
from outboxctl.settings import all_names
from projections.conftest import store as store  # noqa: PLC0414 - a fixture
from security.as_roles import Roles, roles
from tls import Papers


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Of the authority that is to be trusted."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Of somebody else."""
    return Papers(tmp_path_factory.mktemp("others"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """A patient without a setting."""
    monkeypatch.chdir(tmp_path)
    for name in all_names():
        monkeypatch.delenv(name, raising=False)
    return Ward(monkeypatch, "")


@pytest.fixture
def as_roles(sql: psycopg.Connection, url: str) -> Iterator[Roles]:
    """Logins on this test's database."""
    with roles(sql, url) as made:
        yield made
