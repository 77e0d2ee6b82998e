"""Delivering the events of a batch: each projection by itself, whatever happens to another."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.operator.rebuilds import MoveState, move_state
from outboxctl.core.projections import follow
from outboxctl.core.projections.version_base import HIGHEST
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import ChangedError, OutboxctlError
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict
from outboxctl.domain.flow import OF_ONE_INDEX
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Sink
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.flow.suspects import SuspectIsolation
from outboxctl.worker.lane.prepare import UNSENT, Prepared, deleted, judge, prepare
from outboxctl.worker.projections.reading import Declared, Judged, Reading, raise_versions
from outboxctl.worker.settling import tally

# Reads of one document whose index holds a newer version, or whose declaration changes, before its event is
# given back.
TRIES = 3
# Elasticsearch and OpenSearch: VersionConflictEngineException.
CURRENT_VERSION = re.compile(r"current version \[(\d+)\]")
MOVES = {
    MoveState.RUNS: "a rebuild moves the alias {alias}, and its index takes no writes until then",
    MoveState.INTERRUPTED: "a rebuild of {alias} was interrupted while its index takes no writes: "
    "`outboxctl rebuild` goes on, `outboxctl index abort` ends it",
}
Delivered = tuple[Judged, dict[str, DeliveredDelete]]


class Delivering:
    """Delivers to `sink`, that of search_index, and to those of projections. Any lane may call it."""

    def __init__(
        self,
        context: WorkerContext,
        flow: FlowControl,
        declared: Declared,
        sink: Sink,
        sink_of: Callable[[Projection], IndexedSink],
    ) -> None:
        self._context, self._flow, self._declared = context, flow, declared
        self._sink, self._sink_of = sink, sink_of

    def deliver(self, name: str, events: Sequence[Claimed], batch: Batch) -> Delivered:
        """Read and send the documents of one projection's events: what becomes of each event.

        Also the deletes that were delivered, by event id. Raises OutboxctlError where the database fails.
        """
        if "/" in name:  # follow events that were reclaimed, retried or replayed
            with self._context.database.begin() as connection:
                follow.put_back(connection, batch.lease.token, [event.id for event in events])
            return [], {}
        if untried := self._flow.untried(name):
            return [(event, untried) for event in events], {}
        judged, deletes = self._as_declared(name, events, batch) if name else self._own(events, batch)
        self._flow.judged(name, judged)
        return judged, deletes

    def _own(self, events: Sequence[Claimed], batch: Batch) -> Delivered:
        prepared = prepare(events, batch.refusals)
        settle = holding_no_other if self._flow.serves_others else None
        index = self._context.settings.elastic_index
        delivery = self._send("", self._sink, index, prepared, batch.lease, settle=settle)
        return judge(prepared, delivery.findings), deleted(prepared, delivery.findings)

    def _as_declared(self, name: str, events: Sequence[Claimed], batch: Batch) -> Delivered:
        """By the declaration in force where the documents are read: read again while it changes."""
        projection = self._declared.get(name)
        for _ in range(TRIES):
            if projection is None:
                text = brief(f"no projection {name!r} is in force: `outboxctl projection list` shows them")
                # Tried again: a `drop` discards what waits, and `apply` may put it in force again.
                finding = Classification(Verdict.RETRY, Reason.CONFIG, error=text)
                return [(event, finding) for event in events], {}
            try:
                return self._declared_ones(projection, events, batch.lease)
            except ChangedError:
                projection = self._declared.again(name)
        return [(event, UNSENT) for event in events], {}

    def _declared_ones(self, projection: Projection, events: Sequence[Claimed], lease: Lease) -> Delivered:
        """A version conflict settles nothing: the document is read again, with a higher version.

        Raises ChangedError where another declaration is in force; what was sent before is sent again then.
        """
        name, sink = projection.name, self._sink_of(projection)
        by_id, judged, deletes = {event.id: event for event in events}, Judged(), dict[str, DeliveredDelete]()
        held = dict[str, int]()
        for _ in range(TRIES):
            reading = self._read(projection, list(by_id.values()), lease, held)
            prepared = prepare(reading.read)
            if reading.routings:
                prepared.actions = [a._replace(routing=reading.routings[a.id]) for a in prepared.actions]
            delivery = self._send(name, sink, projection.index, prepared, lease, settle=_settled)
            deletes |= deleted(prepared, delivery.findings, name)
            pairs = reading.judged + judge(prepared, delivery.findings)
            conflicts = {event.id: finding for event, finding in pairs if finding.noop is Noop.SUPERSEDED}
            judged += [pair for pair in pairs if pair[0].id not in conflicts]
            by_id = {id_: by_id[id_] for id_ in conflicts}
            if not by_id:
                return judged, deletes
            held = {id_: _current_version(finding) for id_, finding in conflicts.items()}
            if not projection.version:  # no healthy index has one above the serial number asked again
                raise_versions(self._context.of(name), above=max(held.values()))
        again = partial(_went_back, projection) if projection.version else _again
        judged += [(by_id[id_], again(finding)) for id_, finding in conflicts.items()]
        return judged, deletes

    def _read(
        self, projection: Projection, events: Sequence[Claimed], lease: Lease, held: Mapping[str, int]
    ) -> Reading:
        reading = Reading(
            self._context.of(projection.name),
            projection,
            deadline=lease.deadline,
            max_bytes=self._context.settings.max_batch_bytes,
            held=held,
        ).run(events)
        if reading.blocked:  # said at once: another lane may be about to read
            self._flow.close(projection.name, reading.blocked)
        return reading

    def _send(
        self,
        name: str,
        sink: Sink,
        index: str,
        prepared: Prepared,
        lease: Lease,
        *,
        settle: Callable[[Classification], Classification] | None,
    ) -> Delivery:
        """Send the actions until the lease's deadline; one finding an action, as `settle` makes it."""
        if not prepared.actions:
            return Delivery([], [])
        if self._flow.holds:
            sink = SuspectIsolation(sink, self._flow.suspects, index)
        sent_at = monotonic()
        lease.delivering = True
        try:
            with self._context.tracing.sending(len(prepared.actions)):
                delivery = sink.deliver(prepared.actions, deadline=lease.deadline)
        finally:
            lease.delivering = False
        tally.deliveries(self._context.of(name).metrics, prepared.actions, delivery)
        delivery = waiting_for_move(self._context.database, index, delivery)
        if settle:
            findings = [finding and settle(finding) for finding in delivery.findings]
            delivery = replace(delivery, findings=findings)
        self._flow.learn(prepared, delivery, sent_at=sent_at)
        if delivery.recovered:
            self._flow.recovered(name)
        return delivery


def _current_version(finding: Classification) -> int:
    """The version that the index holds, of a conflict; -1 where its text does not name it."""
    match = CURRENT_VERSION.search(finding.error)
    return int(match[1]) if match else -1


def _again(finding: Classification) -> Classification:
    """Of a conflict that came back each time: others write the document, so its event is given back."""
    if _current_version(finding) >= 0:
        return UNSENT
    return Classification(Verdict.RETRY, Reason.BAD_RESPONSE, error=brief(f"a conflict: {finding.error}"))


def _went_back(projection: Projection, finding: Classification) -> Classification:
    """Of the same where rows have versions of their own: a tombstone is forgotten, a row counted up."""
    text = f"the index holds a higher version than the row's {projection.version}: {finding.error}"
    return Classification(Verdict.RETRY, Reason.BAD_DOCUMENT, error=brief(text))


def _settled(finding: Classification) -> Classification:
    """An outage of this index holds up no other's; a version that is out of reach supersedes nothing."""
    if finding.noop is Noop.SUPERSEDED and _current_version(finding) > HIGHEST:
        text = brief(
            f"the index holds a version that no database reaches; delete the document: {finding.error}"
        )
        return Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)
    return holding_no_other(finding)


def holding_no_other(finding: Classification) -> Classification:
    """The finding, whose events alone wait where it is an outage of one index."""
    if finding.verdict is Verdict.OUTAGE and finding.reason in OF_ONE_INDEX:
        return replace(finding, single=True)
    return finding


def waiting_for_move(database: Database, alias: str, delivery: Delivery) -> Delivery:
    """The delivery, with what a rebuild's block of the index refused as what waits for the alias to move.

    These events wait with their attempts, under either outage policy, and hold up no other's. Where the
    rebuilds cannot be read, nothing changes: then it is an outage like any other.
    """
    if not any(finding and finding.reason is Reason.WRITE_BLOCKED for finding in delivery.findings):
        return delivery
    try:
        with database.begin() as connection:
            state = move_state(connection, alias)
    except OutboxctlError:
        return delivery
    if state is None:
        return delivery
    waits = Classification(
        Verdict.OUTAGE,
        Reason.WRITE_BLOCKED,
        error=brief(f"{Reason.WRITE_BLOCKED}: {MOVES[state].format(alias=alias)}"),
        own_text=True,
        single=True,
        attempt_returned=True,
        passing=state is MoveState.RUNS,
    )
    findings = [waits if each and each.reason is Reason.WRITE_BLOCKED else each for each in delivery.findings]
    return replace(delivery, findings=findings)
