"""Repairing what differs: by an ordinary event where one can name the document, else by a fenced removal.

The event has the document read again. Of search_index the sink takes it only if the row's version is not
below what the index holds: where it is below, the row's version is raised in the transaction of the event
(docs/adr/0012). Whatever is read of a projection has a higher version.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from threading import Event
from typing import Any
from uuid import uuid4

from outboxctl.core.database import Connection, Database
from outboxctl.core.delivery import places
from outboxctl.core.delivery.places import DocumentPlace
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import entity_of
from outboxctl.core.operator import repair
from outboxctl.core.operator.audit import record
from outboxctl.core.operator.repair import RepairEntity
from outboxctl.core.projections import events
from outboxctl.core.schema.encoding import encoding_of, storable
from outboxctl.operations.verify.model import MENDED_BY_EVENTS, Difference, DifferenceKind
from outboxctl.sink.index.repair import DocumentVersion, Mender

# An application takes its next version from the row, and at 2^63-1 there is none. A version near to it
# was written by hand: counting by ones never reaches half of the range.
HIGHEST = 2**62
BATCH = 500  # entities a transaction
Task = tuple[Difference, int]  # and the version that its event must have at least


class RepairAction(StrEnum):
    """What becomes of a difference; FOREIGN, TOO_HIGH and NONE are left."""

    EVENT = "event"
    RAISE = "raise"  # an event, and its row's version raised
    REMOVE = "remove"  # at the sink: no event can name it
    FOREIGN = "foreign"  # as REMOVE, but `--keep-foreign` keeps it
    TOO_HIGH = "too high"  # its row would have to be raised beyond HIGHEST
    NONE = "none"  # no event can name the row, or it would fail: the row cannot be read


@dataclass
class Repaired:
    """What a repair did: events written, rows whose version was raised, documents removed at the sink.

    `left` were not touched: they changed meanwhile, another session held their row, or no event can name
    them. Of these, `foreign` are documents that `--keep-foreign` keeps, and `too_high` are entities whose
    version in the index leaves no room. `act_id` is empty where nothing was done.
    """

    act_id: str = field(default_factory=lambda: str(uuid4()))
    enqueued: int = 0
    raised: int = 0
    removed: int = 0
    left: int = 0
    foreign: int = 0
    too_high: int = 0


def action_for(
    difference: Difference, held: int = 0, *, versioned: bool, remove_foreign: bool
) -> RepairAction:
    """What to do about a difference: an event of a row that cannot be read, say, would fail.

    `versioned`: rows have versions of their own; `held` is that of the tombstone of a missing document.
    """
    if difference.kind not in MENDED_BY_EVENTS:
        return RepairAction.NONE
    if difference.key is None:
        if difference.kind is not DifferenceKind.EXTRA:
            return RepairAction.NONE
        return RepairAction.REMOVE if remove_foreign else RepairAction.FOREIGN
    needed, row = winning_version(difference, held), difference.source_version
    if not versioned or difference.kind is DifferenceKind.EXTRA or (row is not None and row >= needed):
        return RepairAction.EVENT
    return RepairAction.RAISE if needed <= HIGHEST else RepairAction.TOO_HIGH


def winning_version(difference: Difference, held: int = 0) -> int:
    """The lowest version that the sink takes: with `external_gte` an equal one overwrites."""
    return max(0, difference.index_version or held)


def foresee(differences: Iterable[Difference], *, versioned: bool, remove_foreign: bool) -> Repaired:
    """What a repair would do, as far as that is known without the sink's tombstones."""
    actions = (action_for(each, versioned=versioned, remove_foreign=remove_foreign) for each in differences)
    to_do = Counter(actions)
    foreign, too_high = to_do[RepairAction.FOREIGN], to_do[RepairAction.TOO_HIGH]
    return Repaired(
        act_id="",
        enqueued=to_do[RepairAction.EVENT] + to_do[RepairAction.RAISE],
        raised=to_do[RepairAction.RAISE],
        removed=to_do[RepairAction.REMOVE],
        left=to_do[RepairAction.NONE] + foreign + too_high,
        foreign=foreign,
        too_high=too_high,
    )


@dataclass(frozen=True)
class Repair:
    """One repair of one index by one person, in batches; `check` is called before each, and may raise.

    Documents that no event can name are removed only if `remove_foreign`.
    """

    database: Database
    mender: Mender
    source: DocumentSource
    by: str
    reason: str
    remove_foreign: bool = False
    check: Callable[[], object] = lambda: None
    done: Repaired = field(default_factory=Repaired)

    def run(self, differences: Iterable[Difference], *, stop: Event) -> None:
        """Repair these, none of which is in flight, batch by batch until `stop` is set."""
        rest = iter(differences)
        while not stop.is_set() and (some := list(islice(rest, BATCH))):
            self.check()
            self.done.left += len(some)
            self._repair_batch(some)

    def undelivered(self) -> int:
        """How many of its events are still under way."""
        with self.database.begin() as connection:
            return repair.undelivered(connection, self.done.act_id)

    def _repair_batch(self, some: Sequence[Difference]) -> None:
        to_do = self._sorted(some)
        self.done.foreign += len(to_do[RepairAction.FOREIGN])
        self.done.too_high += len(to_do[RepairAction.TOO_HIGH])
        if to_do[RepairAction.EVENT] or to_do[RepairAction.RAISE]:
            with self.database.begin() as connection:
                enqueue = self._enqueue if self.source.versioned else self._enqueue_keys
                written, raised = enqueue(connection, to_do[RepairAction.EVENT], to_do[RepairAction.RAISE])
            self.done.enqueued += written
            self.done.raised += raised
            self.done.left -= written
        self._remove([difference for difference, _ in to_do[RepairAction.REMOVE]])

    def _sorted(self, some: Sequence[Difference]) -> dict[RepairAction, list[Task]]:
        """By what is to be done, each with the version that it takes; reads tombstones from the sink."""
        held = dict[str, int]()
        if self.source.versioned:
            missing = [
                each.id for each in some if each.kind is DifferenceKind.MISSING and each.key is not None
            ]
            held = self.mender.versions_left(missing)
        to_do: dict[RepairAction, list[Task]] = {each: [] for each in RepairAction}
        rules = {"versioned": self.source.versioned, "remove_foreign": self.remove_foreign}
        for each in some:
            version = held.get(each.id, 0)
            to_do[action_for(each, version, **rules)].append((each, winning_version(each, version)))
        return to_do

    def _enqueue(
        self, connection: Connection, plain: Sequence[Task], raises: Sequence[Task]
    ) -> tuple[int, int]:
        """The numbers of events written and of rows raised."""
        both = [*plain, *raises]
        written = repair.enqueue(
            connection,
            upserts=_wanted(task for task in both if task[0].kind is not DifferenceKind.EXTRA),
            raises=_wanted(raises),
            deletes=_wanted(task for task in both if task[0].kind is DifferenceKind.EXTRA),
            filters=self._filters(both),
            **self._act,
        )
        return len(written.ids), len(written.raised)

    def _enqueue_keys(
        self, connection: Connection, plain: Sequence[Task], _: Sequence[Task]
    ) -> tuple[int, int]:
        projection = self.source.projection
        name = projection.name
        if (
            projection.moves or projection.column
        ):  # no event leads to an index that no place of the document's names
            found = [difference for difference, _ in plain if difference.kind is DifferenceKind.EXTRA]
            places.note(
                connection, [DocumentPlace(name, each.key or "", projection.index, each.id) for each in found]
            )
        keys = [difference.key for difference, _ in plain if difference.key is not None]
        ids = events.write(connection, name, keys)
        if projection.placed:
            places.forget(connection, name, keys)
        filters = {"projection": name, **self._filters(plain)}
        record(connection, "repair", filters=filters, ids=ids, affected=None, **self._act)
        return len(ids), 0

    def _filters(self, tasks: Sequence[Task]) -> dict[str, Any]:
        return {"index": self.mender.index, **Counter(difference.kind.value for difference, _ in tasks)}

    def _remove(self, foreign: Sequence[Difference]) -> None:
        """Delete what no event can name, unless it was written again.

        The audit row is written after the sink's answer.
        """
        if not foreign:
            return
        with self.database.begin() as connection:
            gone = self.mender.remove([version_of(each) for each in foreign])
            if gone:
                encoding = encoding_of(connection)
                removed = [
                    storable(id_.replace("\x00", "\\x00"), encoding) for id_ in gone
                ]  # jsonb takes no NUL
                filters = {"index": self.mender.index, "removed": removed}
                record(connection, "repair", filters=filters, ids=[], affected=len(gone), **self._act)
        self.done.removed += len(gone)
        self.done.left -= len(gone)

    @property
    def _act(self) -> dict[str, str]:
        return {"by": self.by, "reason": self.reason, "act_id": self.done.act_id}


def version_of(read: Difference) -> DocumentVersion:
    """The write of a document that was read."""
    return DocumentVersion(read.id, read.seq_no or 0, read.primary_term or 0, read.routing)


def _wanted(tasks: Iterable[Task]) -> list[RepairEntity]:
    return [RepairEntity(entity_of(difference.id), version) for difference, version in tasks]
