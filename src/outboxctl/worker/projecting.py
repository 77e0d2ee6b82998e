"""Delivering events of declared projections: each projection by itself, whatever happens to another."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.projections import follow
from outboxctl.core.projections.version_base import HIGHEST
from outboxctl.domain.errors import ChangedError
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.sink.delivery.result import Delivery, IndexedSink
from outboxctl.worker.admission import Admission
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.declared import Declared
from outboxctl.worker.delivering import Deliverer
from outboxctl.worker.lease import Lease
from outboxctl.worker.pacing import OF_ONE_INDEX, Blocked, Pacing
from outboxctl.worker.prepare import UNSENT, deleted, judge, prepare
from outboxctl.worker.reading import Judged, Reading, raise_versions

# Reads of one document whose index holds a newer version, or whose declaration changes, before its event is
# given back.
TRIES = 3
Delivered = tuple[Delivery, Judged, dict[str, DeliveredDelete]]
# Elasticsearch and OpenSearch: VersionConflictEngineException.
CURRENT_VERSION = re.compile(r"current version \[(\d+)\]")


def by_projection(events: Sequence[Claimed]) -> dict[str, Sequence[Claimed]]:
    """The events of each projection by its name, in their order; those of search_index by an empty one."""
    names = {event.projection or "" for event in events}
    if len(names) == 1:  # the hot path
        return {names.pop(): events}
    return {name: [event for event in events if (event.projection or "") == name] for name in names}


class Projecting:
    """Delivers the events of declared projections; several lanes call it at once.

    `sink_of` returns the sink of a projection's index.
    """

    def __init__(
        self,
        context: WorkerContext,
        admission: Admission,
        circuit: Circuit,
        declared: Declared,
        sink_of: Callable[[Projection], IndexedSink],
    ) -> None:
        self._context, self._admission, self._circuit, self._sink_of = context, admission, circuit, sink_of
        self._declared, self.pacing = declared, Pacing(context.database, context.reporter)
        self.blocked = Blocked()

    def deliver(self, name: str, events: Sequence[Claimed], lease: Lease) -> Delivered:
        """Read and send the documents of these events: the last delivery, and what becomes of each event.

        Also the deletes that were delivered, by event id. Raises OutboxctlError where the database fails.
        """
        nothing = Delivery([], [])
        if "/" in name:
            self._leave_to_expander(events, lease)
            return nothing, [], {}
        if untried := self.blocked.finding(name):
            return nothing, [(event, untried) for event in events], {}
        delivery, judged, deletes = self._deliver_as_declared(name, events, lease)
        self.blocked.learn(name, judged)
        return delivery, judged, deletes

    def _deliver_as_declared(self, name: str, events: Sequence[Claimed], lease: Lease) -> Delivered:
        """By the declaration in force where the documents are read: read again while it changes."""
        projection = self._declared.get(name)
        for _ in range(TRIES):
            if projection is None:
                text = brief(f"no projection {name!r} is in force: `outboxctl projection list` shows them")
                # Tried again: a `drop` discards what waits, and `apply` may put it in force again.
                finding = Classification(Verdict.RETRY, Reason.CONFIG, error=text)
                return Delivery([], []), [(event, finding) for event in events], {}
            try:
                return self._deliver(projection, events, lease)
            except ChangedError:
                projection = self._declared.again(name)
        return Delivery([], []), [(event, UNSENT) for event in events], {}

    def _leave_to_expander(self, events: Sequence[Claimed], lease: Lease) -> None:
        """Have `Expander` expand follow events that were reclaimed, retried or replayed."""
        with self._context.database.begin() as connection:
            follow.put_back(connection, lease.token, [event.id for event in events])

    def _deliver(self, projection: Projection, events: Sequence[Claimed], lease: Lease) -> Delivered:
        """A version conflict settles nothing: the document is read again, with a higher version.

        Raises ChangedError where another declaration is in force; what was sent before is sent again then.
        """
        deliverer = self._deliverer(projection)
        by_id, judged, delivery = {event.id: event for event in events}, Judged(), Delivery([], [])
        deletes: dict[str, DeliveredDelete] = {}
        for _ in range(TRIES):
            reading = self._read(projection, list(by_id.values()), lease)
            prepared = prepare(reading.read)
            if reading.routings:
                prepared.actions = [a._replace(routing=reading.routings[a.id]) for a in prepared.actions]
            delivery = settled(deliverer.deliver(prepared, lease), _settled)
            deletes |= deleted(prepared, delivery.findings, projection.name)
            pairs = reading.judged + judge(prepared, delivery.findings)
            conflicts = {event.id: finding for event, finding in pairs if finding.noop is Noop.SUPERSEDED}
            judged += [pair for pair in pairs if pair[0].id not in conflicts]
            by_id = {id_: by_id[id_] for id_ in conflicts}
            if not by_id:
                return delivery, judged, deletes
            self._raise_above(projection, conflicts.values())
        judged += [(by_id[id_], _again(finding)) for id_, finding in conflicts.items()]
        return delivery, judged, deletes

    def _read(self, projection: Projection, events: Sequence[Claimed], lease: Lease) -> Reading:
        reading = Reading(
            self._context.of(projection.name),
            projection,
            deadline=lease.deadline,
            max_bytes=self._context.settings.max_batch_bytes,
        ).run(events)
        if reading.blocked:  # said at once: another lane may be about to read
            self.blocked.block(projection.name, reading.blocked)
        return reading

    def _deliverer(self, projection: Projection) -> Deliverer:
        context = self._context.of(projection.name)
        sink = self._sink_of(projection)
        return Deliverer(context, sink, self._admission, self._circuit, index=projection.index)

    def _raise_above(self, projection: Projection, conflicts: Iterable[Classification]) -> None:
        """No healthy index has a version above the serial number asked again: the server was restored."""
        highest = max(map(_current_version, conflicts), default=-1)
        raise_versions(self._context.of(projection.name), above=highest)


def _current_version(finding: Classification) -> int:
    """The version that the index holds, of a conflict; -1 where its text does not name it."""
    match = CURRENT_VERSION.search(finding.error)
    return int(match[1]) if match else -1


def _again(finding: Classification) -> Classification:
    """Of a conflict that came back each time: others write the document, so its event is given back."""
    if _current_version(finding) >= 0:
        return UNSENT
    return Classification(Verdict.RETRY, Reason.BAD_RESPONSE, error=brief(f"a conflict: {finding.error}"))


def _settled(finding: Classification) -> Classification:
    """An outage of this index holds up no other's; a version that is out of reach supersedes nothing."""
    if finding.noop is Noop.SUPERSEDED and _current_version(finding) > HIGHEST:
        text = brief(
            f"the index holds a version that no database reaches; delete the document: {finding.error}"
        )
        return Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)
    return holding_no_other(finding)


def settled(delivery: Delivery, settle: Callable[[Classification], Classification]) -> Delivery:
    """The delivery with each of its findings as `settle` makes it."""
    return replace(delivery, findings=[finding and settle(finding) for finding in delivery.findings])


def holding_no_other(finding: Classification) -> Classification:
    """The finding, whose events alone wait where it is an outage of one index."""
    if finding.verdict is Verdict.OUTAGE and finding.reason in OF_ONE_INDEX:
        return replace(finding, single=True)
    return finding
