"""Everything through a PgBouncer in transaction mode: each transaction may meet another session."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

import pgbouncer
from invariants import check_invariants
from outboxctl.drills import services
from processes import Cli, Worker, eventually
from scene import Scene

SIZE = 2
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"  # an autovacuum is no session of the worker
)


@pytest.fixture(scope="module")
def _pgbouncer() -> None:
    if not pgbouncer.available():
        pytest.skip("no PgBouncer on PATH, and no package of it could be downloaded with apt-get")


@pytest.fixture
def pooled(empty_url: str, _pgbouncer: None) -> Iterator[dict[str, str]]:
    """The setting that leads through it to an empty database."""
    with pgbouncer.pgbouncer(empty_url, size=SIZE) as url:
        yield {"DATABASE_URL": url}


@pytest.fixture
def direct(empty_url: str, engine: Elasticsearch, index: str) -> Iterator[Scene]:
    """The same database without it."""
    with psycopg.connect(empty_url, autocommit=True) as sql:
        yield Scene(sql, engine, index)


def test_all_of_it_works_through_a_pool_of_two(
    cli: Cli, worker: Callable[..., Worker], pooled: dict[str, str], direct: Scene
) -> None:
    cli.ok("db", "upgrade", env=pooled)
    cli.ok("inject", "load", "--total", "300", "--rate", "0", env=pooled)
    cli.ok("inject", "bad-op", env=pooled)
    port = str(services.fresh_port())
    cli.ok("worker", "--drain", "--metrics-port", port, env=pooled)
    status = cli.json("status", env=pooled)["status"]
    assert (status["done"], status["failed"]) == (300, 1)
    replayed = cli.json("replay", "--by", "me", "--reason", "a test", env=pooled)
    assert replayed["matched"] == 1
    running = worker(**pooled, OUTBOX_CONCURRENCY="4", OUTBOX_BULK_SIZE="20")
    direct.load(1000)
    eventually(lambda: direct.count("done") == 1300, what="six clients share two connections")
    eventually(lambda: direct.count("failed") == 1, what="the replayed one has failed again")
    eventually(lambda: running.metric("outbox_processed_total") == 1000, what="counted")
    sessions = direct.sql.execute(SESSIONS).fetchone()
    assert sessions is not None
    assert sessions[0] <= SIZE, "the worker went around it"
    check_invariants(direct.sql, direct.engine, direct.index, rows=1301)
