"""Expanding follow events, in a thread of its own: half a page of key events after the other."""

import threading
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from uuid import uuid4

import structlog

from outboxctl.core.database import Connection
from outboxctl.core.delivery.claim import Claimed, has_projections
from outboxctl.core.projections import follow, follow_keys
from outboxctl.core.projections.follow import Page
from outboxctl.core.projections.follow_keys import OF_ROOT
from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import EVERYTHING, Projection
from outboxctl.sink.delivery.result import IndexedSink
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.declared import Declared
from outboxctl.worker.lease import Lease
from outboxctl.worker.listing import Listing, ListingError
from outboxctl.worker.outcome import decide, policy_of
from outboxctl.worker.read_ahead import ReadAhead
from outboxctl.worker.settling import Settling

log = structlog.get_logger()
OBSERVER = "expander"  # of the condition `database`
SHARE = 0.5  # of a lease, for the statement that reads keys
WATCHED = 1.0  # seconds after a page for which the next one is looked for often
# Of the time that lanes took for half a page: they have the other half meanwhile. And seconds between two
# looks, at least and at most.
OFTEN, LEAST, MOST = 0.3, 0.005, 0.25


class Expander:
    """Writes the key events of follow events; one thread calls `turn`."""

    def __init__(
        self, context: WorkerContext, declared: Declared, sink_of: Callable[[Projection], IndexedSink]
    ) -> None:
        self._policy = policy_of(context.settings)
        self._context, self._declared = context, declared
        self._listing = Listing(context.database, sink_of)
        self._rng = Random()  # noqa: S311 - jitter, not a secret
        self._read_ahead = ReadAhead()
        self._unfinished = set[str]()  # events of which this worker has written a page
        self.between_pages = threading.Lock()  # held while a follow event is claimed

    @property
    def expanding(self) -> bool:
        """Whether key events are about to be written; any thread may ask."""
        return bool(self._unfinished)

    def turn(self, *, always: bool = False) -> None:
        """Write pages until no follow event waits, or the worker stops.

        Without a projection in force there is none, unless somebody wrote one by hand: that is looked for
        with `always`, since a drain does not end before. A database error is reported, and ends the turn.
        """
        if not (always or self._context.metrics.declared):
            return
        try:
            self._write_pages()
        except OutboxctlError as error:
            self._context.reporter.failed(error, observer=OBSERVER)
        else:
            self._context.reporter.succeeded(observer=OBSERVER)
        finally:
            self._unfinished.clear()

    def _write_pages(self) -> None:
        began, written_at, pause = monotonic(), float("-inf"), LEAST
        while not self._context.signals.stopping:
            with self.between_pages:
                written = self.step()
            now = monotonic()
            if written:
                pause = min(max(OFTEN * (now - max(began, written_at)), LEAST), MOST)
                written_at = now
                self._context.signals.wake()
            elif now > written_at + WATCHED:
                return
            self._context.signals.wait_for_stop(pause)

    def step(self) -> bool:
        """Write half a page; False where none may be written. Raises OutboxctlError for the database."""
        token = str(uuid4())
        try:
            return self._step(token)
        except UnreachableError:  # the claim may have been committed, and what followed not
            self._context.in_flight.answer_lost(token)
            raise

    def _step(self, token: str) -> bool:
        s = self._context.settings
        lease = Lease(token, s.lease_seconds, 1, requested_at=monotonic())
        self._read_ahead.forget_old(self._declared.get)
        with self._context.database.begin() as connection:
            if not has_projections(connection):
                return False
            event = follow.claim(connection, owner=s.worker_id, token=token, lease=s.lease_seconds)
            page = self._write_from_memory(connection, event, token) if event else None
        if event is None:
            return False
        if page:
            self._report(event, page)
            return True
        self._context.in_flight.add(lease)
        try:
            self._expand(event, token)
        finally:
            self._context.in_flight.remove(token)
        return True

    def _write_from_memory(self, connection: Connection, event: FollowEvent, token: str) -> Page | None:
        """Write what was read ahead, in the transaction of the claim: nothing of the user's runs in it."""
        ahead = self._read_ahead.take(event)
        return follow.write_ahead(connection, ahead, token) if ahead else None

    def _expand(self, event: FollowEvent, token: str) -> None:
        projection = self._declaration(event)
        if projection is None:
            text = brief(f"no projection {event.projection!r} is in force")
            self._settle(event, token, Classification(Verdict.RETRY, Reason.CONFIG, error=text))
            return
        try:
            if self._starts_again(projection, event, token):
                return
            page = self._write(projection, event, token)
        except ValueError as error:
            text = brief(f"the event does not fit the projection: {error}")
            self._settle(
                event, token, Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)
            )
        except ListingError as error:
            self._start_again(event, token, error)
        except ReadRefusedError as error:
            self._refused(projection, event, token, error)
        else:
            self._report(event, page)

    def _declaration(self, event: FollowEvent) -> Projection | None:
        """The definition in force at the claim, or a newer one."""
        projection = self._declared.get(event.projection)
        if projection is None or projection.stamp == event.stamp:
            return projection
        return self._declared.again(event.projection)

    def _starts_again(self, projection: Projection, event: FollowEvent, token: str) -> bool:
        """Whether the event is expanded from its start: its pages, or its query, are of another definition.

        One whose query is not in force stands for every document: no other query finds its keys. A sweep, of
        `apply` itself or of another such event, that waits beside it is done with it.
        """
        fits = follow_keys.fits(projection, event)
        if fits and not event.begun_otherwise:
            return False
        if not fits:
            log.info(
                "the query of a change is not in force any more: every document is read again",
                projection=event.projection,
            )
        with self._context.database.begin() as connection:
            follow.start_again(connection, event, token, everything=not fits)
        return True

    def _write(self, projection: Projection, event: FollowEvent, token: str) -> Page | None:
        database, seconds = self._context.database, self._context.settings.lease_seconds * SHARE
        if event.place == EVERYTHING and not event.cursor:
            with database.begin() as connection:
                return follow.begin(connection, event, token)
        if event.place == EVERYTHING and event.cursor.get("index", {}) is not None:
            keys, place = self._listing.page(projection, event, seconds)
            with database.begin() as connection:
                return follow.write_keys(connection, event, token, keys, place)
        with database.begin() as connection:
            return follow.expand(
                connection, projection, event, token, size=self._read_ahead.size, seconds=seconds
            )

    def _refused(
        self, projection: Projection, event: FollowEvent, token: str, error: ReadRefusedError
    ) -> None:
        """Settle an event whose keys cannot be found, unless another definition is in force by now.

        Of the event for every document, a row of the view that raises holds up no other: the root's keys do.
        """
        away = None if error.late else self._probed(projection, event)
        if self._declared.again(event.projection) != projection:
            self._put_back(event, token)
        elif error.late or away or event.place != EVERYTHING or event.cursor.get(OF_ROOT):
            self._settle(event, token, _finding(away or error, away=bool(away)))
        else:
            self._put_back(event, token, {**event.cursor, OF_ROOT: True})

    def _put_back(self, event: FollowEvent, token: str, cursor: Mapping[str, Any] | None = None) -> None:
        with self._context.database.begin() as connection:
            follow.put_back(connection, token, [event.id], cursor)

    def _probed(self, projection: Projection, event: FollowEvent) -> ReadRefusedError | None:
        try:
            with self._context.database.begin() as connection:
                follow_keys.probe(
                    connection, projection, event, seconds=self._context.settings.lease_seconds * SHARE
                )
        except ReadRefusedError as error:
            return error
        return None

    def _start_again(self, event: FollowEvent, token: str, error: ListingError) -> None:
        """List the index from its start, since a place may be too old; wait for an index that is missing."""
        if event.cursor.get("index") is None:
            text = brief(f"{Reason.INDEX_UNAVAILABLE}: {error}")
            finding = Classification(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=text, single=True)
            self._settle(event, token, finding)
            return
        cursor = {name: value for name, value in event.cursor.items() if name != "index"}
        self._put_back(event, token, cursor)

    def _settle(self, event: FollowEvent, token: str, finding: Classification) -> None:
        claimed = Claimed(event.id, event.key, "upsert", None, event.attempts, None, None, event.projection)
        outcomes = decide([(claimed, finding)], self._policy, self._rng)
        Settling(self._context.of(event.projection), token, outcomes).run(until=None)

    def _report(self, event: FollowEvent, page: Page | None) -> None:
        if page is None:
            self._context.metrics.of(event.projection).count("lease_lost", 1)
        elif page.end:
            self._unfinished.discard(event.id)
            done = int(event.cursor.get("done", 0)) + page.keys
            self._context.metrics.of(event.projection).processed("upsert", 1)
            log.info("a change was expanded", projection=event.projection, documents=done)
        else:
            self._unfinished.add(event.id)
            self._read_ahead.keep(page.ahead)


def _finding(error: ReadRefusedError, *, away: bool) -> Classification:
    """What becomes of a follow event whose keys could not be found; `away`: those of no row can be."""
    text = brief(f"the documents behind a change cannot be found: {error.words}")
    if away:
        return Classification(Verdict.OUTAGE, Reason.CONFIG, error=text, single=True)
    verdict = Verdict.RETRY if error.passes else Verdict.FAIL
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)
