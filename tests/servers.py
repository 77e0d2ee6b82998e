"""The servers that the tests run on: environment URLs, containers if asked for, else our own services."""

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
import pytest
from elasticsearch import Elasticsearch

import temporary
from outboxctl.drills import services
from outboxctl.drills.services.model import Say, silent
from outboxctl.net.urls import check_database_url
from outboxctl.sink.index.index_setup import ensure
from sinks import client_of


def _states() -> Path:
    """A folder for the servers of this checkout.

    Not in the checkout: root starts no server in a folder that another user can change.
    """
    checkout = hashlib.sha256(str(Path(__file__).parents[1]).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"outboxctl-tests-{os.geteuid()}" / checkout


temporary.choose()
STATES = _states()
# No engine lives here long enough to earn back what its second compiler costs.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class Servers:
    """A superuser's PostgreSQL URL, a sink URL, and what they are."""

    postgres: str
    sink: str
    label: str
    real_engine: bool


@contextmanager
def started(say: Say = silent) -> Iterator[Servers]:
    """Both servers, ended afterwards if they were started here; `say` is told what is fetched."""
    postgres, sink = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_ELASTIC_URL")
    if postgres and sink:
        yield Servers(postgres, sink, "servers from TEST_DATABASE_URL and TEST_ELASTIC_URL", True)
    elif _docker_is_asked_for():
        with _containers() as servers:
            yield servers
    else:
        with _own(say) as servers:
            yield servers


@contextmanager
def _own(say: Say) -> Iterator[Servers]:
    clear_up()
    state = STATES / str(os.getpid())
    both = services.up(state, fresh_ports=True, fast=True, say=say)
    try:
        kind = f"{both.search.kind} {both.search.version}"
        label = f"embedded PostgreSQL {both.postgres.version}, {kind}"
        yield Servers(
            both.postgres.admin_url.partition("?")[0], both.search.url, label, both.search.kind != "noida"
        )
    finally:
        _end(state)


def clear_up() -> None:
    """End what a killed run left behind, and delete its files."""
    for folder in STATES.glob("[0-9]*"):
        if not psutil.pid_exists(int(folder.name)):
            _end(folder)


def _end(state: Path) -> None:
    services.down(state, purge=True)
    shutil.rmtree(state)


@contextmanager
def _containers() -> Iterator[Servers]:
    """Nobody has run this: no machine that this is built on has a Docker engine."""
    from testcontainers.community.elasticsearch import ElasticSearchContainer
    from testcontainers.community.postgres import PostgresContainer

    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresContainer("postgres:18.1", driver=None))
        engine = stack.enter_context(ElasticSearchContainer("elasticsearch:9.0.4"))
        url = f"http://{engine.get_container_host_ip()}:{engine.get_exposed_port(9200)}"
        yield Servers(
            postgres.get_connection_url(), url, "Docker: PostgreSQL 18.1, Elasticsearch 9.0.4", True
        )


def choice() -> str:
    """Where the servers will come from, before any is started."""
    if os.environ.get("TEST_DATABASE_URL") and os.environ.get("TEST_ELASTIC_URL"):
        return "those of TEST_DATABASE_URL and TEST_ELASTIC_URL"
    if _docker_is_asked_for():
        return "Docker, through testcontainers"
    return "our own services: Elasticsearch by Maven and a JDK 21, else noida-db"


def _docker_is_asked_for() -> bool:
    return bool(os.environ.get("OUTBOXCTL_TEST_DOCKER"))


def new_database(admin: str, *, template: str = "template0", encoding: str = "") -> str:
    """Create a database of its own for one test; returns its URL. Another encoding has the locale C."""
    name = f"t{uuid.uuid4().hex[:12]}"
    options = f"ENCODING '{encoding}' LOCALE 'C'" if encoding else "ENCODING 'UTF8'"
    with psycopg.connect(check_database_url(admin), autocommit=True) as connection:
        if connection.info.server_version >= 150_000:
            # Before, there was nothing else. Without durability a copy of the files takes less than half the
            # computing time of logging each page.
            options += " STRATEGY file_copy" + (" LOCALE_PROVIDER libc" if encoding else "")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
    return urlunsplit(urlsplit(check_database_url(admin))._replace(path=f"/{name}"))


@contextmanager
def a_database(admin: str, template: str) -> Iterator[str]:
    """The URL of a copy of a database, which is dropped in the end."""
    url = new_database(admin, template=template)
    yield url
    drop_database(admin, url)


@contextmanager
def an_index(engine: Elasticsearch) -> Iterator[str]:
    """An empty write alias, whose indexes are deleted in the end."""
    name, _ = new_index(engine)
    yield name
    delete_index(engine, name)


def new_index(engine: Elasticsearch) -> tuple[str, Any]:
    """An empty write alias, and its description."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    ensure(client_of(engine), name)
    return name, description(engine, name)


def delete_index(engine: Elasticsearch, name: str) -> None:
    """Delete all indexes whose names begin so."""
    for each in engine.indices.get_alias(index=f"{name}*", expand_wildcards="all"):
        engine.indices.delete(index=each)


def description(engine: Elasticsearch, name: str) -> Any:
    """All that an alias and its indexes are made of."""
    return engine.indices.get(index=f"{name}*", expand_wildcards="all").body


def is_untouched(engine: Elasticsearch, name: str, made: Any) -> bool:
    """Whether nothing was ever written to the index of this description, and it is as it was made."""
    if description(engine, name) != made:
        return False
    stats = engine.indices.stats(index=name, level="shards", metric="docs")
    shards = [copies[0] for index in stats["indices"].values() for copies in index["shards"].values()]
    return all(shard.get("seq_no", {}).get("max_seq_no") == -1 for shard in shards)


def needs_release(connection: psycopg.Connection, release: int, what: str) -> None:
    """Skip a test of what an older PostgreSQL does not have."""
    if connection.info.server_version < release * 10_000:
        pytest.skip(f"PostgreSQL {release} or newer: {what}")


def drop_database(admin: str, url: str) -> None:
    """Drop a test's database, whoever is still connected."""
    name = urlsplit(url).path[1:]
    with psycopg.connect(check_database_url(admin), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
