"""Sending documents to the new index: each is written, or refused for good."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random
from threading import Event
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from outboxctl.core.delivery import places
from outboxctl.core.delivery.places import DocumentPlace
from outboxctl.core.documents.rows import ChangedKey
from outboxctl.core.produce import MAX_VERSION
from outboxctl.domain.backoff import delay
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import DONE, Classification, Noop, Reason, Verdict
from outboxctl.domain.projection import Routing
from outboxctl.operations.pipeline import BufferedRead, in_lanes
from outboxctl.operations.rebuild.model import DocumentsRefusedError, RebuildInterrupted, Tools
from outboxctl.operations.rebuild.source import WENT_BACK, DocumentBatch, Refused, again
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import NO_INDEX
from outboxctl.sink.delivery.routed import sink_for
from outboxctl.sink.index.repair import CURRENT

LONGEST = 30.0  # seconds a request
AGAIN = "once it does, `outboxctl rebuild` goes on where this one stopped"
GONE = "`outboxctl index abort` ends this rebuild, then begin another"
BASE, CAP = 0.2, 5.0  # seconds between two tries
SETTLED = (Verdict.DONE, Verdict.FAIL)
SENDERS = 3  # requests in flight: the measured optimum of one engine on the worker's side
WAITING = 2  # for a sender, so that none waits for the oldest request
AHEAD = 4  # read, and not yet in flight: what is sent while the next rows are read
Item = TypeVar("Item")
Result = TypeVar("Result")


class Sender:
    """Sends to one index; safe to use from several threads.

    `once`: the index has at most one copy of each document, and hardly any yet; what changed since is sent
    again by another sender. `gives_way`: it pauses before a batch while live events wait.
    """

    def __init__(
        self,
        tools: Tools,
        index: str,
        *,
        once: bool = False,
        gives_way: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tools, self._clock = tools, clock
        self._throttle = tools.throttle if gives_way else None
        routing = tools.source.projection.routed
        if once and routing is Routing.COLUMN:  # no other shard can have a copy
            routing = Routing.KEY
        source = tools.source
        self._column = "" if source.versioned else source.projection.version
        pipeline = source.projection.pipeline
        self._sink = sink_for(tools.client, index, pipeline=pipeline, routing=routing, new=once)
        self._index = index
        self._taken_at = clock()  # when the sink last took a document, of any thread
        self._said_busy = False
        self._rng = Random()  # noqa: S311 - spreads retries, guards nothing

    def send(self, batch: DocumentBatch) -> list[Refused]:
        """Write all of a batch; returns the documents refused.

        Tries again while the sink is unreachable. Raises UnreachableError once it has taken nothing for
        `patience` seconds, unless it only asks for fewer requests (429): then it gets fewer, for as long as
        it asks. Raises RebuildInterrupted when stopped meanwhile.
        """
        if self._throttle:
            self._throttle.wait(batch.read)
        self._place(batch.ids)
        actions, refused = batch.actions, [*batch.refused]
        began, failed = self._clock(), 0
        while actions:
            findings = self._sink.deliver(actions, deadline=Deadline.within(LONGEST)).findings
            if findings.count(DONE) == len(findings):
                self._taken_at = self._clock()
                return refused
            both = [*zip(actions, findings, strict=True)]
            failed_for_good = [(a, f) for a, f in both if f and f.verdict is Verdict.FAIL]
            refused += [Refused(a.id, str(f.reason), f.error) for a, f in failed_for_good]
            unsettled = [(a, f) for a, f in both if not f or f.verdict not in SETTLED]
            if len(unsettled) < len(actions):
                self._taken_at, failed = self._clock(), 0
            failed += 1
            conflicts = {a.id: f for a, f in both if f and f.noop is Noop.SUPERSEDED}
            actions = [action for action, _ in unsettled]
            if actions:
                self._wait(unsettled[0][1], failed, self._clock() - max(began, self._taken_at))
            if conflicts and self._column:
                more, behind = self._read_again(conflicts)
                actions, refused = actions + more, refused + behind
        return refused

    def _place(self, ids: Sequence[tuple[str, str]]) -> None:
        """Write down where the documents of these keys will be: a worker deletes them there."""
        projection = self._tools.source.projection
        wanted = [DocumentPlace(projection.name, key, projection.index, id_) for key, id_ in ids]
        if wanted:
            with self._tools.db.begin() as connection:
                places.open_(connection, wanted, str(uuid4()))

    def _read_again(self, conflicts: dict[str, Classification]) -> tuple[list[BulkAction], list[Refused]]:
        """What is sent of documents of which the index holds a higher version, and what stays below that.

        They are read after that version is known: one that is gone is deleted with it.
        """
        if self._tools.stop.is_set():
            raise RebuildInterrupted
        source, db = self._tools.source, self._tools.db
        named = {id_: CURRENT.search(each.error) for id_, each in conflicts.items()}
        held = {id_: int(found[1]) if found else MAX_VERSION for id_, found in named.items()}
        keys = [ChangedKey(key, newest=held[id_]) for id_, key in source.keys(db, [*held]).items()]
        actions, refused = list[BulkAction](), list[Refused]()
        for batch in again(source, db, keys):
            refused += batch.refused
            for each in batch.actions:
                if each.version >= held[each.id] and named[each.id]:
                    actions.append(each)
                else:
                    text = WENT_BACK.format(column=self._column, held=conflicts[each.id].error)
                    refused.append(Refused(each.id, Reason.BAD_DOCUMENT, text))
        return actions, refused

    def _wait(self, finding: Classification | None, failed: int, seconds: float) -> None:
        if finding and NO_INDEX in finding.error:
            raise UnreachableError(f"{self._index}, which is being filled, is gone", hint=GONE)
        busy = finding is not None and finding.reason is Reason.RATE_LIMITED
        if seconds > self._tools.patience and not busy:
            why = finding.words if finding else "no answer"
            raise UnreachableError(
                f"the search engine took no documents for {self._index} for {seconds:.0f} s ({why})",
                hint=AGAIN,
            )
        if busy and not self._said_busy:
            self._said_busy = True
            self._tools.say("The search engine asks for fewer requests (429): going on more slowly")
        requested = min(finding.retry_after, CAP) if finding else 0.0
        if self._tools.stop.wait(max(requested, delay(failed, base=BASE, cap=CAP, rng=self._rng))):
            raise RebuildInterrupted


def collect(tools: Tools, refused: Sequence[Refused], *, tolerant: bool) -> int:
    """Keep refused documents; returns how many are new. Raises DocumentsRefusedError unless `tolerant`."""
    fresh = {each.id: each for each in refused if each.id not in tools.refused}
    tools.refused.update(fresh)
    if fresh and not tolerant:
        raise DocumentsRefusedError
    return len(fresh)


@contextmanager
def sent(
    items: Iterator[Item], send: Callable[[Item], Result], stop: Event
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Within the block: each item with what `send` returns for it, in order; after `stop` what was in flight.

    Items are read ahead. The block's end ends all threads: nothing is sent to an index that is deleted then.
    """
    with (
        closing(BufferedRead(items, AHEAD)) as ahead,
        in_lanes(send, ahead, SENDERS, waiting=WAITING, stop=stop, join=True) as results,
    ):
        yield results
