"""`check` during an outage: a worker that tries and delivers nothing is found within a minute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from fakes import fake_sink
from outboxctl.core.database import Database
from outboxctl.core.sql import Connection, text
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckLimits
from processes import Worker, eventually
from scene import Scene, ready
from servers import Servers

# Two heartbeats that say nothing of a success.
TWICE = "SELECT FROM outbox_workers WHERE heartbeat_at - progress_at > interval '4 s'"
JUST_NOW = "SELECT FROM outbox_workers WHERE heartbeat_at - progress_at < interval '4 s'"
LATER = "SELECT now() + interval '56 s'"


@contextmanager
def a_minute_on(db: Database) -> Iterator[Connection]:
    """As it would look then: heartbeats go on, and nothing else has happened. Nothing of it stays."""
    with db.begin() as connection:
        connection.execute(text(f"UPDATE outbox_workers SET heartbeat_at = ({LATER})"))
        yield connection
        connection.rollback()


def findings(db: Database) -> set[str]:
    with a_minute_on(db) as connection:
        now = connection.execute(text(LATER)).scalar_one()
        facts = figures.read(connection, CheckLimits(300), max_processing=600, now=now)
    return {figure.name for figure in figures.judge(facts, CheckLimits(300)) if not figure.well}


@pytest.mark.slow(reason="waits until a real outage is found and has ended")
@pytest.mark.parametrize("policy", ["count", "hold"])
def test_a_sink_that_is_away_for_a_minute_is_a_finding_and_ends_with_it(
    worker: Callable[..., Worker],
    db: Database,
    scene: Scene,
    sql: psycopg.Connection,
    servers: Servers,
    policy: str,
) -> None:
    with fake_sink(upstream=servers.sink) as sink:
        port = sink.server_port
        running = worker(
            ELASTIC_URL=sink.url,
            OUTBOX_OUTAGE_POLICY=policy,
            OUTBOX_MAX_ATTEMPTS="1000",
            OUTBOX_MAX_BACKOFF_SECONDS="1",
            OUTBOX_LEASE_SECONDS="120",  # what is under way is not stuck a minute on
        )
        eventually(lambda: ready(running), what="started")
        scene.load(3)
        eventually(lambda: scene.count("done") == 3, what="delivered")
        assert findings(db) == set(), "an idle minute"
    scene.load(20)
    eventually(lambda: sql.execute(TWICE).fetchone() is not None, within=20, what="two heartbeats")
    assert findings(db) == {"no_success"}
    with fake_sink(upstream=servers.sink, port=port):
        eventually(lambda: scene.count("done") == 23, within=20, what="delivered")
        eventually(lambda: sql.execute(JUST_NOW).fetchone() is not None, within=20, what="a heartbeat")
        assert findings(db) == set()
