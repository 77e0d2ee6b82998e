"""A patient with a database and an index of its own; whole servers, where a test changes their settings."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

import clusters
from clusters import Cluster
from operations.doctor.ward import Ward, named
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import ensure
from sinks import client_of


@pytest.fixture
def ward(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """Healthy."""
    monkeypatch.chdir(tmp_path)  # where no .env lies
    return Ward(monkeypatch, settings.require_database_url())


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """Settings of a patient whose servers nobody asks."""
    monkeypatch.chdir(tmp_path)
    return Ward(monkeypatch, "")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL that has a standby."""
    with clusters.cluster() as server:
        yield server


@pytest.fixture
def own_database(postgres: Cluster, ward: Ward) -> Iterator[Ward]:
    """The patient on that PostgreSQL, in a migrated database of its own."""
    name = f"t{uuid.uuid4().hex[:8]}"
    url = named(postgres.url, name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        db = Database(url)
        upgrade(db, None)
        db.close()
        ward.monkeypatch.setenv("DATABASE_URL", url)
        yield Ward(ward.monkeypatch, url)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Elasticsearch whose cluster settings a test may change."""
    state = tmp_path_factory.mktemp("engine")
    try:
        engine = services.start_search(state, search="elasticsearch", port=services.fresh_port())
    except OutboxctlError as error:
        pytest.skip(f"needs an Elasticsearch of its own: {error}")
    yield engine.url
    services.down(state, purge=True)


@pytest.fixture
def own_index(ward: Ward, own_engine: str) -> Elasticsearch:
    """The patient on an engine of its own, with an index there."""
    ward.monkeypatch.setenv("ELASTIC_URL", own_engine)
    client = Elasticsearch(own_engine)
    ensure(client_of(client), "own")
    ward.monkeypatch.setenv("ELASTIC_INDEX", "own")
    return client
