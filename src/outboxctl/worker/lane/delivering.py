"""Delivering a batch: the documents of its events are read, prepared and sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery import places
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.delivery.places import PlaceWrite
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.statements import RAISED
from outboxctl.core.documents.table import TableSource
from outboxctl.core.operator.rebuilds import MoveState, move_state
from outboxctl.core.projections import follow
from outboxctl.core.projections.version_base import AT_ONCE, HIGHEST
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import ChangedError, OutboxctlError
from outboxctl.domain.failures import Classification, Noop, OutageScope, Reason, Verdict, all_done, waits_for
from outboxctl.domain.flow.signals import OF_ONE_INDEX
from outboxctl.domain.index_names import BRACES
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import KEY_TOO_LONG, MAX_KEY_BYTES, Projection
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.parted import NOWHERE, PartedSink
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Sink
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.flow.single_requests import deliver_suspects_alone
from outboxctl.worker.lane.prepare import UNSENT, Prepared, deleted, judge, never, prepare
from outboxctl.worker.projections.reading import Declared, Judged, Reading, of_events
from outboxctl.worker.settling import tally

# Reads of one document whose index holds a newer version, or whose declaration changes, before its event is
# given back.
TRIES = 3
ASKED = 5.0  # seconds at most to ask which index it is
# Elasticsearch and OpenSearch: VersionConflictEngineException.
UNREACHED = "the index holds a version that no database reaches; delete the document"
CURRENT_VERSION = re.compile(r"current version \[(\d+)\]")
GONE = "index_not_found_exception"
REBUILT = "`outboxctl rebuild --projection {name}:{value}` makes it anew"
MOVES = {
    MoveState.RUNS: "a rebuild moves the alias {alias}, and its index takes no writes until then",
    MoveState.INTERRUPTED: "a rebuild of {alias} was interrupted while its index takes no writes: "
    "`outboxctl rebuild` goes on, `outboxctl index abort` ends it",
}
TOO_LONG = never(f"the event's key is longer than {MAX_KEY_BYTES:,} bytes, which is not supported")
log = structlog.get_logger()


@dataclass
class Answered:
    """What the index has answered, by event or part: deletes, and places to settle."""

    deletes: dict[str, DeliveredDelete] = field(default_factory=dict)
    places: dict[str, PlaceWrite] = field(default_factory=dict)

    def confirm(self, places: Mapping[str, PlaceWrite], judged: Judged) -> None:
        """Keep those of these places that belong to what is done; not where a newer version was met."""
        for event, finding in judged if places else ():
            done = finding.verdict is Verdict.DONE and finding.noop is not Noop.SUPERSEDED
            if done and event.id in places:
                self.places[event.id] = places[event.id]

    def add(self, other: "Answered") -> None:
        """What another request was answered."""
        self.deletes |= other.deletes
        self.places |= other.places


Delivered = tuple[Judged, Answered]


class Route(NamedTuple):
    """Where events of a projection come from and go; the built-in one has an empty name."""

    name: str
    source: DocumentSource
    sink: Sink
    alias: str
    projection: Projection | None = None


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
        self._context, self._flow, self._declared, self._sink_of = context, flow, declared, sink_of
        self._known = set[tuple[str, str]]()  # indexes that were there, by definition and alias
        self._built_in = Route("", TableSource(), sink, context.settings.elastic_index)

    def deliver(self, batch: Batch, events: Sequence[Claimed]) -> Delivered:
        """Read and send the documents of these events of a batch: what becomes of each event.

        Also what the index has answered. Raises OutboxctlError where the database fails.
        """
        name = batch.name
        if apart := [event for event in events if event.follow is not None]:
            too_long = [(event, TOO_LONG) for event in apart if event.follow == KEY_TOO_LONG]
            with self._context.database.begin() as connection:  # they were reclaimed, retried or replayed
                ids = [event.id for event in apart if event.follow != KEY_TOO_LONG]
                follow.put_back(connection, batch.lease.token, ids)
            events = [event for event in events if event.follow is None]
            judged, answered = self.deliver(batch, events)
            return too_long + judged, answered
        for again in range(TRIES if events else 0):
            projection = self._declared.get(name, now=again > 0) if name else None
            if name and projection is None:
                text = brief(f"no projection {name!r} is in force: `outboxctl projection list` shows them")
                # Tried again: a `drop` discards what waits, and `apply` may put it in force again.
                finding = Classification(Verdict.RETRY, Reason.CONFIG, error=text, unsent=True)
                return [(event, finding) for event in events], Answered()
            try:
                return self._through(self._route(projection, batch.lease), events, batch.lease)
            except ChangedError:  # what was sent is sent again
                continue
        return [(event, UNSENT) for event in events], Answered()

    def _route(self, projection: Projection | None, lease: Lease) -> Route:
        if projection is None:
            return self._built_in
        sink, seconds = self._sink_of(projection), lease.deadline.seconds_left()
        # Known before documents are read: of an index that is made meanwhile it is another.
        holds = sink.holds(min(seconds, ASKED)) if projection.skip_unchanged and seconds > 0 else ""
        raised = partial(self._raised, projection.name)
        source = DocumentSource(projection, raised=raised, holds=holds)
        if isinstance(sink, PartedSink):
            source = replace(source, make=partial(self._make, projection, sink))
        return Route(projection.name, source, sink, projection.index, projection)

    def _make(self, projection: Projection, sink: PartedSink, alias: str) -> str:
        """Make the index of a value that no document had before; why it cannot be used, or an empty text.

        One that had documents and is gone is an outage (docs/adr/0003-no-index-by-accident.md).
        """
        if (projection.stamp, alias) not in self._known:
            with self._context.database.begin() as connection:
                known = places.known(connection, projection.name, alias)
            if not known and (why := sink.one(alias).make(projection.body, projection.name)):
                return why
            self._known.add((projection.stamp, alias))
        return ""

    def _raised(self, name: str, base: int) -> None:
        self._context.of(name).metrics.count("version_base_raised", 1)
        log.warning(RAISED, base=base)

    def _through(self, route: Route, events: Sequence[Claimed], lease: Lease) -> Delivered:
        """Of a declared projection a conflict settles nothing: the document is read again.

        Raises ChangedError where another declaration is in force.
        """
        judged, answered, held = Judged(), Answered(), dict[str, int]()
        for _ in range(TRIES):
            reading = self._read(route, events, lease, held)
            pairs = reading.judged + self._judged(route, reading, events, answered, lease)
            if route.projection is None:
                return pairs, answered
            answered.confirm(reading.places, pairs)
            pairs = of_events(pairs) if reading.places else pairs
            conflicts = {event.id: finding for event, finding in pairs if finding.noop is Noop.SUPERSEDED}
            judged += [pair for pair in pairs if pair[0].id not in conflicts]
            events = [event for event in events if event.id in conflicts]
            if not events:
                return judged, answered
            held = {id_: _current_version(finding) for id_, finding in conflicts.items()}
            if not route.projection.version:  # no healthy index has one above the serial number asked again
                route.source.raise_base(self._context.database, above=max(held.values()))
        column = route.projection.version if route.projection else ""
        return judged + [(event, _again(conflicts[event.id], column)) for event in events], answered

    def _judged(
        self, route: Route, reading: Reading, events: Sequence[Claimed], answered: Answered, lease: Lease
    ) -> Judged:
        """What becomes of the `events` of a reading, which are sent."""
        prepared = prepare(reading.read, reading.aliases)
        if reading.routings:
            prepared.actions = [a._replace(routing=reading.routings[a.id, a.alias]) for a in prepared.actions]
        delivery = self._send(route, prepared, lease)
        self._flow.sized(route.name, delivery, len(prepared.actions), left_out=reading.left_out)
        answered.deletes |= deleted(prepared, delivery.findings, events, route.projection)
        return judge(prepared, delivery.findings)

    def _read(
        self, route: Route, events: Sequence[Claimed], lease: Lease, held: Mapping[str, int]
    ) -> Reading:
        most = self._context.settings.max_batch_bytes
        reading = Reading(
            route.source, self._context.database, deadline=lease.deadline, max_bytes=most, held=held
        ).run(events)
        if reading.late:
            self._flow.late(route.name, len(events))
        return reading

    def _send(self, route: Route, prepared: Prepared, lease: Lease) -> Delivery:
        """Send the actions until the lease's deadline; one finding an action."""
        if not prepared.actions:
            return Delivery([], [])
        sent_at = monotonic()
        lease.delivering = True
        try:
            delivery = self._deliver(route, prepared.actions, lease)
        finally:
            lease.delivering = False
        tally.deliveries(self._context.of(route.name).metrics, prepared.actions, delivery)
        if not all_done(delivery.findings):
            delivery = self._of_route(route, prepared.actions, delivery)
        self._flow.learn(route.name, prepared.actions, delivery, sent_at=sent_at)
        return delivery

    def _deliver(self, route: Route, actions: Sequence[BulkAction], lease: Lease) -> Delivery:
        if not self._context.settings.holds(route.name):
            return route.sink.deliver(actions, deadline=lease.deadline)
        return deliver_suspects_alone(route.sink, actions, self._flow.suspects(route.name), lease.deadline)

    def _of_route(self, route: Route, actions: Sequence[BulkAction], delivery: Delivery) -> Delivery:
        aliases = [action.alias or route.alias for action in actions]
        delivery = waiting_for_move(self._context.database, aliases, delivery)
        pairs = zip(actions, delivery.findings, strict=True)
        findings = [finding and self._of_action(route, each, finding) for each, finding in pairs]
        return replace(delivery, findings=findings)

    def _of_action(self, route: Route, action: BulkAction, finding: Classification) -> Classification:
        if route.projection and route.projection.parted and GONE in finding.error:
            finding = _of_gone(route.name, route.projection.index, action, finding)
        if not route.source.versioned:
            finding = _reachable(finding)
        return holding_no_other(finding) if route.name or self._flow.declared else finding


def _of_gone(name: str, index: str, action: BulkAction, finding: Classification) -> Classification:
    """Of an index that a column chose and somebody has deleted: it holds no document to be deleted."""
    if action.document is None:
        return NOWHERE
    before, after = BRACES.split(index)
    value = action.alias[len(before) : len(action.alias) - len(after)]
    return replace(finding, error=brief(f"{finding.error}; {REBUILT.format(name=name, value=value)}"))


def _current_version(finding: Classification) -> int:
    """The version that the index holds, of a conflict; -1 where its text does not name it."""
    match = CURRENT_VERSION.search(finding.error)
    return int(match[1]) if match else -1


def _again(finding: Classification, column: str) -> Classification:
    """Of a conflict that came back each time: others write the document, so its event is given back.

    Where rows have versions of their own, in `column`, it is retried: a tombstone is forgotten, a row counted
    up.
    """
    version, reason = _current_version(finding), Reason.BAD_DOCUMENT
    if column:
        text = f"the index holds a higher version than the row's {column}"
    elif version > AT_ONCE:
        text = UNREACHED
    elif version >= 0:
        return UNSENT
    else:
        reason, text = Reason.BAD_RESPONSE, "a conflict"
    return Classification(Verdict.RETRY, reason, error=brief(f"{text}: {finding.error}"))


def _reachable(finding: Classification) -> Classification:
    """A version that is out of reach supersedes nothing."""
    if finding.noop is not Noop.SUPERSEDED or _current_version(finding) <= HIGHEST:
        return finding
    text = brief(f"{UNREACHED}: {finding.error}")
    return Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)


def holding_no_other(finding: Classification) -> Classification:
    """The finding, whose events alone wait where it is an outage of one index."""
    if finding.verdict is Verdict.OUTAGE and finding.reason in OF_ONE_INDEX:
        return finding if finding.scope is OutageScope.EVENT else replace(finding, scope=OutageScope.INDEX)
    return finding


def waiting_for_move(database: Database, aliases: Sequence[str], delivery: Delivery) -> Delivery:
    """The delivery, with what a rebuild's block of the index refused as what waits for the alias to move.

    `aliases` are those of its actions. These events wait with their attempts, under either outage policy, and
    hold up no other's. Where the rebuilds cannot be read, nothing changes: it is an outage like any other.
    """
    findings = [*delivery.findings]
    blocked = [n for n, each in enumerate(findings) if each and each.reason is Reason.WRITE_BLOCKED]
    if not blocked:
        return delivery
    try:
        with database.begin() as connection:
            states = {alias: move_state(connection, alias) for alias in sorted({aliases[n] for n in blocked})}
    except OutboxctlError:
        return delivery
    for n in blocked:
        if state := states[aliases[n]]:
            findings[n] = _waits(aliases[n], state)
    return replace(delivery, findings=findings)


def _waits(alias: str, state: MoveState) -> Classification:
    finding = waits_for(Reason.WRITE_BLOCKED, MOVES[state].format(alias=alias))
    return replace(finding, passing=state is MoveState.RUNS)
