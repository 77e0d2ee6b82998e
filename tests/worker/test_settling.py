"""Settling through a database that is slow to commit, away, or away for good."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.domain.failures import DONE
from outboxctl.drills import services
from outboxctl.worker.settling.outcome import Outcomes
from outboxctl.worker.settling.settling import Settling
from outboxctl.worker.stopping import Stopping
from scene import Scene
from sink.rows.bench import metric
from worker_parts import make_parts

SLOW = 2.5  # seconds of the first COMMIT that settles
SLOW_COMMIT = f"""
CREATE SEQUENCE commits;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.status = 'done' AND nextval('public.commits') = 1 THEN PERFORM pg_sleep({SLOW}); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON search_outbox_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.fixture
def hasty(url: str) -> Iterator[Database]:
    """A database whose transactions are given up after a second."""
    db = Database(url, connections=2, longest=1.0)
    yield db
    db.close()


def test_a_commit_that_outlasts_our_patience_is_waited_for(
    hasty: Database, sql: psycopg.Connection, scene: Scene
) -> None:
    """It holds the rows' locks and commits in the end: what it wrote is ours, counted once."""
    scene.load(10)
    token = str(uuid4())
    with hasty.begin() as connection:
        events = claim(connection, owner="w", token=token, size=10, lease=30).events
    sql.execute(SLOW_COMMIT)
    outcomes = Outcomes(done=[e.id for e in events], findings={e.id: (e, DONE) for e in events})
    parts = make_parts(hasty)
    Settling(parts.context, token, outcomes).run(until=None)
    assert scene.rows("status") == [("done",)]
    assert metric(parts.context.metrics, "outbox_processed_total") == 10
    assert metric(parts.context.metrics, "outbox_lease_lost_total") == 0
    assert parts.context.progress.completed == 10


@pytest.fixture
def away() -> Iterator[Database]:
    """A database that nobody serves."""
    db = Database(f"postgresql://x@127.0.0.1:{services.fresh_port()}/x")
    yield db
    db.close()


def test_a_worker_that_stops_tries_to_release_until_its_grace_is_over(
    away: Database,
) -> None:
    parts = make_parts(away)
    parts.context.in_flight.answer_lost(str(uuid4()))
    tries: list[float] = []
    real, grace = away.begin, 1.0
    parts.context.database.begin = lambda: (tries.append(1), real())[1]  # type: ignore[method-assign,func-returns-value]
    assert not Stopping(parts.context).run([], grace, leave=lambda: None)
    assert len(tries) > 1, "a database that restarts is back before the grace is over"
