"""One world: an application, its outbox on PostgreSQL, workers, a sink, and one clock for all of them."""

import json
from dataclasses import dataclass
from uuid import UUID

import psycopg

from claiming import claimed
from fakes.store import Write
from model.again import Again
from model.application import Application, document_id
from model.clocks import Clocks, Steps
from model.oracle import LEASE, MAX_ATTEMPTS, MAX_PROCESSING, TABLE, Oracle, Row
from model.weather import FAIR, WEATHERS, Sky
from outboxctl.core.database import Database
from outboxctl.core.delivery import deletes, settle
from outboxctl.core.delivery.claim import GROUP
from outboxctl.core.delivery.leases import Renewed, reclaim, renew
from outboxctl.core.operator import moves, selection
from outboxctl.domain.failures import Classification
from outboxctl.domain.lifecycle import Status
from outboxctl.metrics.registry import Metrics
from outboxctl.sink.delivery.bisect import Bisection
from outboxctl.worker.claiming.leases import Lease
from outboxctl.worker.lane.prepare import Prepared, deleted, judge, prepare
from outboxctl.worker.settling import tally
from outboxctl.worker.settling.outcome import RetryPolicy, decide

NOTHING = [Write("none", -1)]
TURNS = 10  # a lease apart: until every delete has been sent for the last time, whatever was set back
# Each event that is not done, and each delete that is to be sent again: its document and version.
TO_COME = """SELECT entity_type || ':' || entity_id, event_version FROM search_outbox_events
WHERE status <> 'done'
UNION ALL SELECT document_id, version FROM outbox_deletes"""


@dataclass(eq=False)
class Hand:
    """A claim in a worker's hand; `findings` once it was sent."""

    lease: Lease
    prepared: Prepared
    findings: list[Classification | None] | None = None


class World:
    """Everything that can happen; each act is checked by the oracle."""

    def __init__(self, sql: psycopg.Connection, database: Database, clocks: Clocks) -> None:
        sql.execute("DELETE FROM search_outbox_events; DELETE FROM search_index; DELETE FROM outbox_deletes")
        self._sql, self._database, self.clocks = sql, database, clocks
        self.application, self.oracle, self.sky = Application(sql), Oracle(), Sky(clocks)
        self.again = Again(database, self.sky)
        self.metrics, self.hands, self._claims = Metrics(), list[Hand](), 0
        self.processed = 0

    def change(self, entity: UUID, what: str, older: int) -> None:
        """The application commits a change with its event."""
        self.clocks.pass_time(0.001)  # no two events have one `created_at`: the trace is the same each time
        id_, version = self.application.change(entity, what, older)
        self.oracle.rows[id_] = Row(document_id(entity), version)

    def claim(self, size: int, *, reclaimed: int = GROUP) -> Hand | None:
        """Any worker claims and reads."""
        self._claims += 1
        token, requested_at = str(UUID(int=self._claims)), self.clocks.steady
        with self._database.begin() as connection:
            batch = claimed(connection, size, lease=LEASE, token=token, reclaimed=reclaimed)
        batch.sort()
        self.oracle.claimed(batch, token, size, self.clocks.now, reclaimed=reclaimed)
        source = self.application.source()
        assert all(event.source_version == source.get(event.document_id) for event in batch)
        if not batch:
            return None
        self.hands.append(Hand(Lease(token, LEASE, len(batch), requested_at=requested_at), prepare(batch)))
        return self.hands[-1]

    def send(self, hand: Hand, weather: str = FAIR, victim: int = 0) -> None:
        """It sends, late or in time, unless its reading is too old by now."""
        actions = hand.prepared.actions
        id_ = actions[victim % len(actions)].id if actions else ""
        deadline = hand.lease.deadline
        bisection = Bisection(
            lambda some: self.sky.send(some, WEATHERS[weather], id_) if deadline.seconds_left() > 0 else None
        )
        hand.findings = bisection.deliver(actions) if actions else []

    def settle(self, hand: Hand, *, hold: bool = False) -> None:
        """It writes what became of it, late or in time; sends it first where that is still to do."""
        if hand.findings is None:
            self.send(hand)
        self.hands.remove(hand)
        policy = RetryPolicy(MAX_ATTEMPTS, base=2, cap=8, hold=hold)
        findings = hand.findings or []
        outcomes = decide(judge(hand.prepared, findings), policy, Steps())
        gone = [*deleted(hand.prepared, findings, hand.prepared.newest).values()]
        with self._database.begin() as connection:
            _, hit = settle.write(
                connection,
                hand.lease.token,
                done=outcomes.done,
                undelivered=outcomes.retries + outcomes.failures,
                released=outcomes.untried,
                more=deletes.inserting(gone, first=LEASE),
            )
        self.oracle.settled(outcomes, hand.lease.token, hit, self.clocks.now)
        self.processed += tally.settled(self.metrics, outcomes, hit, set())

    def release(self, hand: Hand) -> None:
        """It stops in good order."""
        self.hands.remove(hand)
        with self._database.begin() as connection:
            hit = settle.release(connection, [hand.lease.token])
        self.oracle.released(hand.lease.token, hit)

    def kill(self, hand: Hand) -> None:
        """Nothing is heard of it any more."""
        self.hands.remove(hand)

    def renew(self, hand: Hand) -> None:
        """It asks for more time."""
        token = hand.lease.token
        with self._database.begin() as connection:
            found = renew(connection, token, lease=LEASE, max_processing=MAX_PROCESSING)
        kept = found is Renewed.RENEWED
        self.oracle.renewed(token, kept, self.clocks.now)
        if kept:
            hand.lease.renewed(self.clocks.steady)

    def reclaim(self) -> None:
        """Any worker's maintenance frees what is stuck."""
        with self._database.begin() as connection:
            found = reclaim(connection, max_processing=MAX_PROCESSING, max_attempts=MAX_ATTEMPTS)
        failed = len(found.failed_ops)
        self.oracle.reclaimed(found.total - failed, failed, self.clocks.now)

    def replay(self, limit: int | None) -> None:
        """An operator replays what failed."""
        with self._database.begin() as connection:
            plan = selection.plan(connection, selection.Selection(limit=limit))
            done = moves.replay(connection, plan, by="alice", reason="model")
        self.oracle.replayed(done)

    def check(self) -> None:
        """What must hold at any time."""
        self.oracle.check(self._sql.execute(TABLE).fetchall())
        assert self.sky.store.steps_back(remembered=True) == []
        for id_, held in self.sky.store.documents().items():
            document = json.loads(held.document or b"")
            assert document["event_version"] == held.version
            assert document["text"] == f"v{held.version}", f"{id_} at {held.version} is another version's"
        self._nothing_stays_that_was_deleted()
        done = self.oracle.having(Status.DONE).values()
        for row in done:
            newest = max(w.version for w in self.sky.store.history.get(row.document_id, NOTHING))
            assert newest >= row.version, f"{row.document_id} is not there"
        assert self.processed == len(done)

    def _nothing_stays_that_was_deleted(self) -> None:
        """A document without a row is there only until something that is to come deletes it."""
        source, to_come = self.application.source(), self._sql.execute(TO_COME).fetchall()
        for id_, version in self.sky.store.versions().items():
            last = max((each for document, each in to_come if document == id_), default=-1)
            assert id_ in source or last >= version, f"{id_} stays, at {version}"

    def end(self) -> None:
        """All is well from now on; then every event is done, and the index is the source."""
        stopped = list(self.hands)
        for _ in range(3):
            self.replay(None)
            self.clocks.pass_time(60)
            self.reclaim()
            while hand := self.claim(10):
                self.settle(hand)
        self._must_be_done()
        while self.sky.late:
            self.sky.arrive(0)
        for hand in stopped:
            self.settle(hand)
        for _ in range(TURNS):
            self.again.turn()
            self.clocks.pass_time(LEASE)
        assert not self.again.waiting()
        self._must_be_done()

    def _must_be_done(self) -> None:
        self.check()
        assert self.oracle.having(Status.DONE) == self.oracle.rows
        if not self.again.waiting():  # else a late write may be there until it is deleted again
            assert self.sky.store.versions() == self.application.source()
