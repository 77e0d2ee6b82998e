"""PostgreSQL restarted or replaced under a working worker: it stays, and goes on where it was."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from elasticsearch import Elasticsearch

from clusters import Cluster, cluster
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from processes import Worker, eventually
from scene import Scene, blames
from servers import new_database

TOTAL = 2000
QUICK = {"OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "2"}

pytestmark = [pytest.mark.real_engine, pytest.mark.slow(reason="a server of its own, restarted")]


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server that only these tests use."""
    with cluster() as server:
        yield server


@pytest.fixture
def own_url(own: Cluster) -> str:
    """A migrated database on it."""
    url = new_database(own.url)
    db = Database(url)
    upgrade(db, None)
    db.close()
    return url


@pytest.fixture
def loaded(own_url: str, engine: Elasticsearch, index: str) -> Iterator[Scene]:
    """That database with events in it; its connection ends with the server."""
    with psycopg.connect(own_url, autocommit=True) as sql:
        scene = Scene(sql, engine, index)
        scene.load(TOTAL)
        yield scene


def test_a_restart_costs_no_attempt_and_nothing_is_sent_twice(
    own: Cluster, own_url: str, loaded: Scene, worker: Callable[..., Worker]
) -> None:
    running = worker(**QUICK, DATABASE_URL=own_url)
    eventually(lambda: loaded.count("done"), what="under way")
    own.stop("immediate")
    eventually(lambda: blames(running, "database"), within=5, what="said so")
    own.start()
    with psycopg.connect(own_url, autocommit=True) as sql:
        after = replace(loaded, sql=sql)
        after.finished_by(running, TOTAL)
        assert (after.rows("attempts"), after.sent()) == ([(1,)], TOTAL)
