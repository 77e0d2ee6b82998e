"""Any interleaving of the verbs keeps the invariants of the outbox (hypothesis, on PostgreSQL)."""

from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from moments import at, when
from outboxctl.core.database import Connection, Database
from outboxctl.core.delivery import settle
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.leases import reclaim
from outboxctl.core.operator import moves, selection
from outboxctl.domain.failures import Reason

MAX_ATTEMPTS = 3


class Outbox(RuleBasedStateMachine):
    """Workers claim, settle well or badly, die; time passes; operators replay."""

    db: Database
    sql: psycopg.Connection

    def __init__(self) -> None:
        super().__init__()
        self.sql.execute("TRUNCATE search_outbox_events")
        self.now = 0
        self.claims: dict[str, list[str]] = {}
        self.rows = 0
        self.done: set[str] = set()

    @rule(count=st.integers(1, 4))
    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.sql.execute(
                "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, created_at)"
                " VALUES ('block', gen_random_uuid(), 'upsert', 1, %s)",
                (at(self.now),),
            )
        self.rows += count

    @rule(size=st.integers(1, 3))
    def claim(self, size: int) -> None:
        token = str(uuid4())
        with when(self.db, self.now) as connection:
            batch = claim(connection, owner="w", token=token, size=size, lease=10)
        self.claims[token] = [event.id for event in batch]
        assert all(1 <= event.attempts <= MAX_ATTEMPTS for event in batch)

    @rule(data=st.data(), how=st.sampled_from(["complete", "retry", "fail", "release"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        if not self.claims:
            return
        token = data.draw(st.sampled_from(sorted(self.claims)))
        with when(self.db, self.now) as connection:
            hit = self._settle(connection, token, how)
        if how == "complete":
            assert not hit & self.done, "an event cannot be completed twice"
            self.done |= hit

    def _settle(self, connection: Connection, token: str, how: str) -> set[str]:
        ids, c = self.claims[token], connection
        if how == "complete":
            return settle.complete(c, token, ids)
        if how == "release":
            return settle.release(c, [token])
        if how == "fail":
            failures = [settle.Failure(id_, Reason.MAPPING, "x") for id_ in ids]
            return settle.fail(c, token, failures)
        spent = set(
            self.sql.execute("SELECT id::text FROM search_outbox_events WHERE attempts >= 3").fetchall()
        )
        retries = [settle.Retry(id_, 5, Reason.CONNECT, "x") for id_ in ids if (id_,) not in spent]
        return settle.retry(c, token, retries)

    @rule(seconds=st.integers(1, 15))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def reclaim(self) -> None:
        with when(self.db, self.now) as connection:
            reclaim(connection, max_processing=600, max_attempts=MAX_ATTEMPTS)

    @rule(limit=st.integers(1, 3))
    def replay(self, limit: int) -> None:
        with when(self.db, self.now) as connection:
            plan = selection.plan(connection, selection.Selection(limit=limit))
            moves.replay(connection, plan, by="alice", reason="model")

    @invariant()
    def no_row_is_lost_and_none_is_half_held(self) -> None:
        rows = self.sql.execute(
            "SELECT id::text, status, attempts, owner, lease_token, lease_until, processing_started_at,"
            " processed_at FROM search_outbox_events"
        ).fetchall()
        assert len(rows) == self.rows
        for id_, status, attempts, *held, processed_at in rows:
            assert attempts <= MAX_ATTEMPTS
            assert all(held) if status == "processing" else not any(held)
            assert (status == "done") == (processed_at is not None) == (id_ in self.done)


@pytest.mark.timeout(120)
def test_any_interleaving(db: Database, sql: psycopg.Connection) -> None:
    Outbox.db, Outbox.sql = db, sql
    run_state_machine_as_test(
        Outbox,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
