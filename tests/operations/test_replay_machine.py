"""Any order of failures, deliveries and operators' acts against a model in plain Python (hypothesis)."""

from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from operations.failures import fail
from outboxctl.core.database import Database
from outboxctl.core.operator import audit, moves
from outboxctl.core.operator.failed import failed_groups
from outboxctl.core.operator.selection import MovePlan, Selection, plan
from outboxctl.domain.failures import Reason
from outboxctl.domain.fingerprints import fingerprint

ERRORS = ["boom 1", "boom 22", "it's 'x'", "other"]
REASONS = [Reason.MAPPING, Reason.CONNECT]
COLUMNS = "id::text, status, error_reason, error, attempts, replay_count"


@dataclass(frozen=True)
class Model:
    """One event as it must be; `act` is the replay that last touched it."""

    status: str
    reason: str | None
    error: str | None
    attempts: int
    replays: int = 0
    act: str | None = None


class Desk(RuleBasedStateMachine):
    """Events fail, are delivered, retried; operators replay, undo, discard, with plans made earlier too."""

    db: Database
    sql: psycopg.Connection

    def __init__(self) -> None:
        super().__init__()
        self.sql.execute("TRUNCATE search_outbox_events, outbox_operator_audit")
        self.events: dict[str, Model] = {}
        self.before: dict[str, dict[str, Model]] = {}  # what each replay found
        self.plans: list[tuple[MovePlan, set[str]]] = []
        self.acts = 0

    @rule(error=st.sampled_from(ERRORS), reason=st.sampled_from(REASONS), attempts=st.integers(1, 9))
    def fails(self, error: str, reason: Reason, attempts: int) -> None:
        id_ = str(UUID(int=len(self.events) + 1))
        fail(self.sql, error, id=id_, error_reason=reason, attempts=attempts)
        self.events[id_] = Model("failed", reason.value, error, attempts)

    @rule(data=st.data(), ends=st.sampled_from(["done", "failed", "processing"]))
    def a_worker_works(self, data: st.DataObject, ends: str) -> None:
        waiting = self._having("pending", "processing")
        if not waiting:
            return
        id_ = data.draw(st.sampled_from(sorted(waiting)))
        reason, error = ("mapping", "boom 3") if ends == "failed" else (None, None)
        self.sql.execute(
            "UPDATE search_outbox_events SET status = %s, error_reason = %s, error = %s, attempts = 2,"
            " processed_at = CASE WHEN %s = 'done' THEN now() END WHERE id = %s",
            [ends, reason, error, ends, id_],
        )
        self.events[id_] = replace(waiting[id_], status=ends, reason=reason, error=error, attempts=2)

    @rule(
        reason=st.none() | st.sampled_from(REASONS),
        like=st.none() | st.sampled_from(ERRORS),
        limit=st.none() | st.integers(1, 3),
    )
    def plans_ahead(self, reason: Reason | None, like: str | None, limit: int | None) -> None:
        self.plan(reason, like, limit)

    def plan(self, reason: Reason | None, like: str | None, limit: int | None) -> None:
        name = fingerprint("mapping", like) if like else None
        with self.db.begin() as connection:
            made = plan(connection, Selection(error_reason=reason, fingerprint=name, limit=limit))
        fitting = {
            id_
            for id_, event in self._having("failed").items()
            if reason in {None, event.reason} and name in {None, fingerprint(event.reason, event.error)}
        }
        assert made.matched == len(fitting)
        assert made.ids == sorted(fitting)[:limit], "all were created at once: by id"
        assert sum(cause.count for cause in made.causes) == len(made.ids)
        self.plans.append((made, set()))

    @rule()
    def all_fail_again(self) -> None:
        self.sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE status = 'pending'")
        for id_, event in self._having("pending").items():
            self.events[id_] = replace(event, status="failed")

    @rule()
    def replay_all(self) -> None:
        self.plan(None, None, None)
        self._carry_out(*self.plans.pop(), "replay")

    @rule(data=st.data(), how=st.sampled_from(["replay", "discard"]))
    def carry_out(self, data: st.DataObject, how: str) -> None:
        if self.plans:
            self._carry_out(*data.draw(st.sampled_from(self.plans)), how)

    def _carry_out(self, made: MovePlan, replayed_since: set[str], how: str) -> None:
        apply = moves.replay if how == "replay" else moves.discard
        with self.db.begin() as connection:
            act = apply(connection, made, by="alice", reason="model", act_id=self._next_act())
        expected = set(made.ids) & set(self._having("failed")) - replayed_since
        assert set(act.ids) == expected
        assert (act.audit_id is None) == (not expected)
        if how == "replay" and act.audit_id:
            self.before[act.audit_id] = {id_: self.events[id_] for id_ in expected}
            for _, since in self.plans:
                since.update(expected)
        for id_ in expected:
            self._moved(id_, how, act.audit_id)

    def _next_act(self) -> str:
        """An id that is the same whenever hypothesis tries a case again."""
        self.acts += 1
        return str(UUID(int=1_000 + self.acts))

    def _moved(self, id_: str, how: str, act: str | None) -> None:
        event = self.events[id_]
        if how == "discard":
            self.events[id_] = replace(event, status="done", reason="discarded")
        else:
            self.events[id_] = Model("pending", None, None, 0, event.replays + 1, act)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        if not self.before:
            return
        act = data.draw(st.sampled_from(sorted(self.before)))
        with self.db.begin() as connection:
            waiting = {event.id for event in audit.events_of(connection, act) if event.now == "pending"}
            (batch,) = moves.replay_batches(connection, act)
            done = moves.undo(connection, batch, undoes=act, by="bob", reason="model")
        expected = {id_ for id_ in self.before[act] if self._waits_for(id_, act)}
        assert set(done.ids) == waiting == expected
        for id_ in expected:
            self.events[id_] = replace(self.before[act][id_], act=act)

    def _waits_for(self, id_: str, act: str) -> bool:
        return self.events[id_].status == "pending" and self.events[id_].act == act

    def _having(self, *statuses: str) -> dict[str, Model]:
        return {id_: event for id_, event in self.events.items() if event.status in statuses}

    @invariant()
    def the_rows_are_the_model(self) -> None:
        found = self.sql.execute(f"SELECT {COLUMNS} FROM search_outbox_events").fetchall()
        assert {row[0]: row[1:] for row in found} == {
            id_: (e.status, e.reason, e.error, e.attempts, e.replays) for id_, e in self.events.items()
        }

    @invariant()
    def the_groups_are_the_model(self) -> None:
        with self.db.begin() as connection:
            found = {group.fingerprint: group.count for group in failed_groups(connection, Selection())}
        expected: dict[str, int] = {}
        for event in self._having("failed").values():
            name = fingerprint(event.reason, event.error)
            expected[name] = expected.get(name, 0) + 1
        assert found == expected


@pytest.mark.slow(reason="performs random sequences of acts")
@pytest.mark.timeout(120)
def test_any_order_of_acts(db: Database, sql: psycopg.Connection) -> None:
    Desk.db, Desk.sql = db, sql
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
