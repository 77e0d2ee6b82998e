"""Expanding follow events, table by table: many of one table in a set, or one with many keys in pages.

Two threads do it: what takes one of them long is left to the other one, so that no table waits for a slow one
(docs/adr/0041).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import structlog

from outboxctl.core.database import Connection
from outboxctl.core.projections import follow, follow_query, follow_tables
from outboxctl.core.projections.follow_keys import Page
from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.projections.follow_tables import FollowedTable
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.clock import LOCK_SECONDS, monotonic
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Noop
from outboxctl.domain.projection import DOCUMENTS, Projection
from outboxctl.sink.delivery.result import IndexedSink
from outboxctl.worker.claiming.leases import Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.projections.expanding_event import EventExpansion, WaitError
from outboxctl.worker.projections.reading import Declared
from outboxctl.worker.projections.turns import QUICK, Limits, ReadAhead, Turn, Turns, name_of

log = structlog.get_logger()
SHARE = 0.5  # of a lease, for a statement of the thread for slow tables
WATCHED = 1.0  # seconds after a page for which the next one is looked for often
# Of the time that lanes took for half a page: they have the other half meanwhile. And seconds between two
# looks, at least and at most.
OFTEN, LEAST, MOST = 0.3, 0.005, 0.25


class Expander:
    """Writes the events of documents behind follow events; `together` as `FlowControl.together`.

    `turn` and `step` are called by two threads at most, one with `slow` and one without: each has tables of
    its own. None: one thread has all.
    """

    def __init__(
        self,
        context: WorkerContext,
        declared: Declared,
        sink_of: Callable[[Projection], IndexedSink],
        together: Callable[[str], int],
    ) -> None:
        self._context, self._declared, self._together = context, declared, together
        self._one = EventExpansion(context, declared, sink_of)
        self._read_ahead, self._turns = ReadAhead(), Turns()
        self._unfinished = set[str]()  # events of which this worker has written a page
        self._steps: dict[bool | None, int] = {}  # by thread; odd: one is under way
        self._waiting = False  # whether follow events were seen, whatever is in force

    @property
    def expanding(self) -> bool:
        """Whether key events are about to be written; any thread may ask."""
        return bool(self._unfinished) or any(steps % 2 for steps in self._steps.values())

    def due(self, connection: Connection) -> bool:
        """Whether this worker would expand something now, or does; any thread may ask.

        What is claimed and not yet written is neither a follow event that waits nor a key event.
        """
        before = dict(self._steps)
        if any(steps % 2 for steps in before.values()):
            return True
        tables = follow_tables.waiting(connection)
        self._waiting = bool(tables)
        ready = any(
            table.due or (table.may_begin and self._has_room(connection, turn))
            for table, turn in self._turns.open(tables, monotonic())
        )
        return ready or before != self._steps

    def turn(self, *, always: bool = False, slow: bool | None = None) -> None:
        """Write pages until no follow event waits, or the worker stops.

        Without a projection in force there is none, unless somebody wrote one by hand: that is looked for
        with `always`, since a drain does not end before, and by `due`. A database error is reported, and ends
        the turn.
        """
        if not (always or self._waiting or self._context.metrics.declared):
            return
        try:
            with self._context.reporter.reporting("expander"):
                self._write_pages(slow)
        finally:
            self._unfinished.clear()

    def _write_pages(self, slow: bool | None) -> None:
        began, written_at, pause = monotonic(), float("-inf"), LEAST
        while not self._context.signals.stopping:
            looked = monotonic()  # what the step itself takes, lanes do not wait for
            written = self.step(slow=slow)
            now = monotonic()
            if written:
                pause = min(max(OFTEN * (looked - max(began, written_at)), LEAST), MOST)
                written_at = now
                self._context.signals.wake()
            elif now > written_at + WATCHED:
                return
            self._context.signals.wait_for_stop(pause)

    def step(self, *, slow: bool | None = None) -> bool:
        """Give each followed table its turn; whether any was used. Raises OutboxctlError for the database."""
        self._read_ahead.forget_old(self._declared.get)
        self._steps[slow] = self._steps.get(slow, 0) + 1
        try:
            with self._context.database.begin() as connection:
                tables = follow_tables.waiting(connection)
            used = [self._turn(*pair) for pair in self._turns.open(tables, monotonic(), slow=slow)]
        finally:
            self._steps[slow] += 1
        return any(used)

    def _turn(self, table: FollowedTable, turn: Turn) -> bool:
        """Half a page of an event that has begun, and one of those that have not."""
        if self._context.signals.stopping:
            return False
        table = replace(table, together=self._together(table.projection))
        used = bool(table.due) and self._guarded(table, turn, partial(self._expand_one, begun=True))
        if table.may_begin and turn.pauses.due(monotonic()):
            used |= self._guarded(table, turn, self._begin)
        if used:
            self._context.health.expanded()
        return used

    def _guarded(
        self, table: FollowedTable, turn: Turn, action: Callable[[FollowedTable, Turn], bool]
    ) -> bool:
        """What the action returns; a refusal has this table wait, and no other."""
        try:
            return action(table, turn)
        except (ReadRefusedError, WaitError) as error:
            if error.late and not turn.slow:
                turn.slow = True  # the other thread has time
            elif turn.refused(monotonic()):
                name = name_of(table, self._declared.get(table.projection))
                log.warning("changes wait", projection=table.projection, table=name, problem=error.words)
        return False

    def _begin(self, table: FollowedTable, turn: Turn) -> bool:
        if turn.full:
            with self._context.database.begin() as connection:
                if not self._has_room(connection, turn):
                    return False
            turn.next_half()
        together = turn.size > 1 or table.place == DOCUMENTS
        done = self._expand_set(table, turn) if together else None
        return done if done is not None else self._expand_one(table, turn, begun=False)

    def _has_room(self, connection: Connection, turn: Turn) -> bool:
        """Whether lanes have taken so many key events of this table that others may be written."""
        before = turn.before  # once: the thread that has the table may begin its next half
        if not (turn.full and before):
            return True
        return follow_tables.taken(connection, before[0], before[-1])

    def _expand_set(self, table: FollowedTable, turn: Turn) -> bool | None:
        """Expand many events together; None where one is to be expanded by itself."""
        projection, began = self._declared.get(table.projection), monotonic()
        with self._context.database.begin() as connection:
            size = follow_tables.MOST if table.place == DOCUMENTS else turn.size
            locked = follow_tables.lock(connection, table, size)
            if not (projection and locked and locked[0].stamp == projection.stamp):
                return None if locked else False  # the claim of one event reads the definition again
            events = follow_query.together(projection, locked)
            if len(events) <= 1:
                return None
            written = self._write_set(connection, projection, events, turn)
        if written:
            if written.keys:
                turn.wrote(len(events), written.keys, written.ends, monotonic() - began)
            self._context.metrics.of(table.projection).count("processed", len(events), "upsert")
            if table.place == DOCUMENTS and not written.keys:
                return None  # one waits in their place
        return True

    def _write_set(
        self, connection: Connection, projection: Projection, events: list[FollowEvent], turn: Turn
    ) -> Page | None:
        """What was written; None where these were too many."""
        if events[0].place == DOCUMENTS:
            return follow_tables.merge(connection, events)
        limits = self._limits(turn)
        try:
            written = follow_tables.expand(
                connection,
                projection,
                events,
                seconds=limits.seconds,
                lock_seconds=limits.lock_seconds,
            )
        except ReadRefusedError as error:
            if not error.passes or (error.late and limits.patient):
                turn.shrink()  # one of them may be at fault
                connection.rollback()
                return None
            raise
        if written is None:
            turn.shrink()
        return written

    def _limits(self, turn: Turn) -> Limits:
        if not turn.slow:
            return QUICK
        return Limits(self._context.settings.lease_seconds * SHARE, LOCK_SECONDS, patient=True)

    def _expand_one(self, table: FollowedTable, turn: Turn, *, begun: bool) -> bool:
        """Claim one event and write half a page of it; False where there was none."""
        token, s, began = str(uuid4()), self._context.settings, monotonic()
        lease = Lease(token, s.lease_seconds, 1, requested_at=began)
        try:
            with self._context.database.begin() as connection:
                event = follow.claim(
                    connection, table, owner=s.worker_id, token=token, lease=s.lease_seconds, begun=begun
                )
                # Read ahead: written in the transaction of the claim, for nothing of the user's runs in it.
                ahead = self._read_ahead.take(event) if event else None
                page = follow.write_ahead(connection, ahead, token) if ahead else None
            if event is None:
                return False
            self._context.in_flight.add(lease)
            try:
                page = page or self._one.run(event, token, self._limits(turn), size=self._read_ahead.size)
            finally:
                self._context.in_flight.remove(token)
        except UnreachableError:  # the claim may have been committed, and what followed not
            self._context.in_flight.answer_lost(token)
            raise
        if page:
            self._report(turn, event, page, monotonic() - began)
        return True

    def _report(self, turn: Turn, event: FollowEvent, page: Page, seconds: float) -> None:
        if page.unchanged:
            self._context.metrics.of(event.projection).count("noop", page.unchanged, "upsert", Noop.UNCHANGED)
        if not page.end:
            turn.size = 1
            turn.pauses.ended()
            self._unfinished.add(event.id)
            self._read_ahead.keep(page.ahead)
            return
        self._unfinished.discard(event.id)
        if not event.cursor:
            turn.wrote(1, page.keys + page.unchanged, page.ends, seconds)
        self._context.metrics.of(event.projection).count("processed", 1, "upsert")
