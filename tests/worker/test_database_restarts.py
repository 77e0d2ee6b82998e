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


@pytest.fixture
def standby(own: Cluster, loaded: Scene) -> Iterator[Cluster]:
    """A streaming copy of that server, which afterwards runs again."""
    streaming = "SELECT FROM pg_stat_replication WHERE state = 'streaming'"
    with own.standby() as copy:
        eventually(lambda: loaded.sql.execute(streaming).rowcount, what="streaming")
        yield copy
    own.start()


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


def test_the_promoted_standby_is_found_by_itself(
    own: Cluster, own_url: str, loaded: Scene, standby: Cluster, worker: Callable[..., Worker]
) -> None:
    """The standby comes first in the URL: a server that cannot be written must not be taken."""
    both = own_url.replace("@", f"@127.0.0.1:{standby.port},")
    running = worker(**QUICK, DATABASE_URL=both)
    eventually(lambda: loaded.count("done"), what="works on the primary")
    own.stop("fast")
    eventually(lambda: blames(running, "database"), within=5, what="said so")
    standby.promote()
    with psycopg.connect(own_url.replace(str(own.port), str(standby.port)), autocommit=True) as sql:
        replace(loaded, sql=sql).finished_by(running, TOTAL)
