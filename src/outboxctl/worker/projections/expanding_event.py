"""Expanding one claimed follow event: half a page of its key events, or what becomes of it otherwise."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

import structlog

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import follow, follow_keys, follow_query, pages
from outboxctl.core.projections.follow_keys import Page
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.core.projections.follow_query import OF_ROOT
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, OutageScope, Reason, Verdict
from outboxctl.domain.printable import brief, is_storable
from outboxctl.domain.projection import EVERYTHING, Projection, is_hash
from outboxctl.sink.delivery.result import IndexedSink, Place
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.projections.reading import Declared
from outboxctl.worker.projections.turns import Limits
from outboxctl.worker.settling.outcome import decide, policy_of
from outboxctl.worker.settling.settling import Settling

log = structlog.get_logger()
ASKED = 5.0  # seconds at most to ask which index it is


class WaitError(Exception):
    """The event waits again, as it was: its table has to wait. `late`: for more time than there was."""

    def __init__(self, words: str, *, late: bool = False) -> None:
        super().__init__(words)
        self.words, self.late = words, late


class _ListingError(Exception):
    """The ids of an index cannot be read."""


class EventExpansion:
    """Expands claimed events one by one; the threads of `Expander` call it."""

    def __init__(
        self, context: WorkerContext, declared: Declared, sink_of: Callable[[Projection], IndexedSink]
    ) -> None:
        self._context, self._declared = context, declared
        self._sink_of = sink_of
        self._rng = Random()  # noqa: S311 - jitter, not a secret

    def run(self, event: FollowEvent, token: str, limits: Limits, *, size: int) -> Page | None:
        """Write half a page of its keys, of at most `size` that are read; None where it has another outcome.

        Raises WaitError where its table has to wait.
        """
        projection = self._declaration(event)
        if projection is None:
            text = brief(f"no projection {event.projection!r} is in force")
            self._settle(event, token, Classification(Verdict.RETRY, Reason.CONFIG, error=text))
            raise WaitError(text)
        try:
            if self._starts_again(projection, event, token):
                return None
            return self._write(projection, event, token, limits, size=size)
        except ValueError as error:
            text = brief(f"the event does not fit the projection: {error}")
            self._settle(
                event, token, Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)
            )
        except _ListingError as error:
            self._list_again(event, token, error)
        except ReadRefusedError as error:
            return self._refused(projection, event, token, error, limits)
        return None

    def _declaration(self, event: FollowEvent) -> Projection | None:
        """The definition in force at the claim, or a newer one."""
        projection = self._declared.get(event.projection)
        if projection is None or projection.stamp == event.stamp:
            return projection
        return self._declared.get(event.projection, now=True)

    def _starts_again(self, projection: Projection, event: FollowEvent, token: str) -> bool:
        """Whether the event is expanded from its start: its pages, or its query, are of another definition.

        One whose query is not in force stands for every document: no other query finds its keys. A sweep, of
        `apply` itself or of another such event, that waits beside it is done with it.
        """
        fits = follow_query.fits(projection, event)
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

    def _write(
        self, projection: Projection, event: FollowEvent, token: str, limits: Limits, *, size: int
    ) -> Page | None:
        database, holds = self._context.database, ""
        if event.place == EVERYTHING and not event.cursor:
            with database.begin() as connection:
                return follow.begin(connection, event, token)
        if event.place == EVERYTHING and event.cursor.get("index", {}) is not None:
            keys, place = self._listed(projection, event, limits.seconds)
            with database.begin() as connection:
                return follow.write_keys(connection, event, token, keys, place)
        if projection.skip_unchanged:  # known before documents are read, as in `Delivering`
            with suppress(OutboxctlError):
                holds = self._sink_of(projection).holds(min(limits.seconds, ASKED))
        with database.begin() as connection:
            return follow.expand(
                connection,
                projection,
                event,
                token,
                size=size,
                seconds=limits.seconds,
                lock_seconds=limits.lock_seconds,
                holds=holds,
            )

    def _listed(
        self, projection: Projection, event: FollowEvent, seconds: float
    ) -> tuple[list[str], Place | None]:
        """The keys in half a page of the index's ids that the view has no row for, and the next place.

        The others come with the rows of the view. A row that vanishes until then has an event of its own.
        All keys where one is none of the projection: the event of that one fails, and of no other. No event
        names an id that is the hash of a key or cannot be one, as after a change of the key: `rebuild` or
        `verify --repair` deletes its document.
        """
        try:
            found, place = self._sink_of(projection).ids(event.cursor.get("index"), HALF)
        except OutboxctlError as error:
            raise _ListingError(f"the index {projection.index} cannot be listed: {error}") from error
        own = (key for id_ in found if (key := projection.key_in(id_)) is not None)
        # A hash is of a key that is not known: `verify --repair`.
        keys = [
            key for key in own if is_storable(key) and not is_hash(key) and pages.plausible(projection, key)
        ]
        try:
            return self._without_row(projection, keys, seconds), place
        except ReadRefusedError as error:
            if not error.late:
                self._without_row(projection, [], seconds)  # raises where the view cannot be read at all
            return keys, place

    def _without_row(self, projection: Projection, keys: list[str], seconds: float) -> list[str]:
        with self._context.database.begin() as connection:
            return follow_keys.without_row(connection, projection, keys, seconds=seconds)

    def _refused(
        self,
        projection: Projection,
        event: FollowEvent,
        token: str,
        error: ReadRefusedError,
        limits: Limits,
    ) -> Page | None:
        """Settle an event whose keys cannot be found, unless another definition is in force by now.

        Where it stands for several rows, one of them may be at fault: each has an event of its own then. Of
        the event for every document, a row of the view that raises holds up no other: the root's keys do.
        """
        if error.passes and not (error.late and limits.patient):
            self._put_back(event, token)
            raise WaitError(error.words, late=error.late)
        away = None if error.late else self._probed(projection, event, limits.seconds)
        if self._declared.get(event.projection, now=True) != projection:
            self._put_back(event, token)
        elif event.of_several and not away:
            with self._context.database.begin() as connection:
                return follow.write_rows(connection, event, token)
        elif error.late or away or event.place != EVERYTHING or event.cursor.get(OF_ROOT):
            finding = _finding(away or error, away=bool(away))
            self._settle(event, token, finding)
            if finding.verdict is not Verdict.FAIL:
                raise WaitError(error.words)
        else:
            self._put_back(event, token, {**event.cursor, OF_ROOT: True})
        return None

    def _put_back(self, event: FollowEvent, token: str, cursor: Mapping[str, Any] | None = None) -> None:
        with self._context.database.begin() as connection:
            follow.put_back(connection, token, [event.id], cursor)

    def _probed(self, projection: Projection, event: FollowEvent, seconds: float) -> ReadRefusedError | None:
        try:
            with self._context.database.begin() as connection:
                follow_keys.probe(connection, projection, event, seconds=seconds)
        except ReadRefusedError as error:
            return error
        return None

    def _list_again(self, event: FollowEvent, token: str, error: _ListingError) -> None:
        """List the index from its start, since a place may be too old; wait for an index that is missing."""
        if event.cursor.get("index") is None:
            text = brief(f"{Reason.INDEX_UNAVAILABLE}: {error}")
            finding = Classification(
                Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=text, scope=OutageScope.INDEX
            )
            self._settle(event, token, finding)
            raise WaitError(text)
        cursor = {name: value for name, value in event.cursor.items() if name != "index"}
        self._put_back(event, token, cursor)

    def _settle(self, event: FollowEvent, token: str, finding: Classification) -> None:
        claimed = Claimed(event.id, event.key, "upsert", None, event.attempts)
        policy = policy_of(self._context.settings, event.projection)
        outcomes = decide([(claimed, finding)], policy, self._rng)
        Settling(self._context.of(event.projection), token, outcomes).run(until=None)


def _finding(error: ReadRefusedError, *, away: bool) -> Classification:
    """What becomes of a follow event whose keys could not be found; `away`: those of no row can be."""
    text = brief(f"the documents behind a change cannot be found: {error.words}")
    if away:
        return Classification(Verdict.OUTAGE, Reason.CONFIG, error=text, scope=OutageScope.INDEX)
    verdict = Verdict.RETRY if error.passes else Verdict.FAIL
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)
