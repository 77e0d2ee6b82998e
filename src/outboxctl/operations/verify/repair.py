"""Repairing what differs: by an ordinary event where one can name the document, else by a fenced removal.

The event has the document read again. Of search_index the sink takes it only if the row's version is not
below what the index holds: where it is below, the row's version is raised in the transaction of the event
(docs/adr/0012). Whatever is read of a projection has a higher version.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import islice
from threading import Event
from typing import Any
from uuid import uuid4

from outboxctl.core.database import Connection
from outboxctl.core.delivery import places
from outboxctl.core.delivery.places import DocumentPlace
from outboxctl.core.documents.table import entity_of
from outboxctl.core.operator import repair
from outboxctl.core.operator.audit import record
from outboxctl.core.operator.repair import RepairEntity
from outboxctl.core.projections import events
from outboxctl.operations.verify.model import MENDED_BY_EVENTS, Difference, DifferenceKind, Sides
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


@dataclass(frozen=True)
class Repair:
    """One repair of one index by one person, in batches.

    Documents that no event can name are removed only if `remove_foreign`. A `dry_run` counts what would be
    done, as far as that is known without the sink's tombstones.
    """

    sides: Sides
    by: str
    reason: str
    remove_foreign: bool = False
    dry_run: bool = False
    done: Repaired = field(default_factory=Repaired)

    def run(self, differences: Iterable[Difference], *, stop: Event) -> None:
        """Repair these, none of which is in flight, batch by batch until `stop` is set.

        Raises InconclusiveError once the index is another one than was compared.
        """
        rest = iter(differences)
        while not stop.is_set() and (some := list(islice(rest, BATCH))):
            self.sides.reader.check_unchanged()
            self.done.left += len(some)
            self._repair_batch(some)

    @cached_property
    def _mender(self) -> Mender:
        return Mender(self.sides.reader.client, self.sides.reader.shape.name)

    def _repair_batch(self, some: Sequence[Difference]) -> None:
        to_do = self._sorted(some)
        self.done.foreign += len(to_do[RepairAction.FOREIGN])
        self.done.too_high += len(to_do[RepairAction.TOO_HIGH])
        plain, raises, foreign = (
            to_do[each] for each in (RepairAction.EVENT, RepairAction.RAISE, RepairAction.REMOVE)
        )
        if self.dry_run:
            self._count(len(plain) + len(raises), len(raises), len(foreign))
            return
        if plain or raises:
            enqueue = self._enqueue if self.sides.source.versioned else self._enqueue_keys
            with self.sides.database.begin() as connection:
                written, raised = enqueue(connection, plain, raises)
            self._count(written, raised)
        if foreign:
            self._count(removed=self._remove([difference for difference, _ in foreign]))

    def _count(self, written: int = 0, raised: int = 0, removed: int = 0) -> None:
        self.done.enqueued += written
        self.done.raised += raised
        self.done.removed += removed
        self.done.left -= written + removed

    def _sorted(self, some: Sequence[Difference]) -> dict[RepairAction, list[Task]]:
        """By what is to be done, each with the version that it takes; reads tombstones from the sink."""
        held = dict[str, int]()
        if self.sides.source.versioned and not self.dry_run:
            missing = [each for each in some if each.kind is DifferenceKind.MISSING and each.key is not None]
            held = self._mender.versions_left([each.id for each in missing])
        to_do: dict[RepairAction, list[Task]] = {each: [] for each in RepairAction}
        for each in some:
            # With `external_gte` an equal version overwrites.
            needed = max(0, each.index_version or held.get(each.id, 0))
            to_do[self._action(each, needed)].append((each, needed))
        return to_do

    def _action(self, difference: Difference, needed: int) -> RepairAction:
        extra, row = difference.kind is DifferenceKind.EXTRA, difference.source_version
        if difference.kind not in MENDED_BY_EVENTS or (difference.key is None and not extra):
            return RepairAction.NONE
        if difference.key is None:
            return RepairAction.REMOVE if self.remove_foreign else RepairAction.FOREIGN
        if not self.sides.source.versioned or extra or (row is not None and row >= needed):
            return RepairAction.EVENT
        return RepairAction.RAISE if needed <= HIGHEST else RepairAction.TOO_HIGH

    def _enqueue(
        self, connection: Connection, plain: Sequence[Task], raises: Sequence[Task]
    ) -> tuple[int, int]:
        """The numbers of events written and of rows raised."""
        both = [*plain, *raises]
        return repair.enqueue(
            connection,
            upserts=_wanted(task for task in both if task[0].kind is not DifferenceKind.EXTRA),
            raises=_wanted(raises),
            deletes=_wanted(task for task in both if task[0].kind is DifferenceKind.EXTRA),
            filters=self._filters(both),
            **self._act,
        )

    def _enqueue_keys(
        self, connection: Connection, plain: Sequence[Task], _: Sequence[Task]
    ) -> tuple[int, int]:
        projection = self.sides.source.projection
        name = projection.name
        if projection.column:
            # No event leads to an index that no place of the document's names.
            found = [each for each, _ in plain if each.kind is DifferenceKind.EXTRA]
            at = [DocumentPlace(name, each.key or "", projection.index, each.id) for each in found]
            places.note(connection, at)
        keys = [difference.key for difference, _ in plain if difference.key is not None]
        ids = events.write(connection, name, keys)
        if projection.placed:
            places.forget(connection, name, keys)
        filters = {"projection": name, **self._filters(plain)}
        record(connection, "repair", filters=filters, ids=ids, affected=None, **self._act)
        return len(ids), 0

    def _filters(self, tasks: Sequence[Task]) -> dict[str, Any]:
        return {"index": self._mender.index, **Counter(difference.kind.value for difference, _ in tasks)}

    def _remove(self, foreign: Sequence[Difference]) -> int:
        """Delete what no event can name, unless it was written again; returns how many are gone.

        The audit row is written after the sink's answer.
        """
        read = [
            DocumentVersion(each.id, each.seq_no or 0, each.primary_term or 0, each.routing)
            for each in foreign
        ]
        with self.sides.database.begin() as connection:
            if gone := self._mender.remove(read):
                removed = [id_.replace("\x00", "\\x00") for id_ in gone]  # jsonb takes no NUL
                filters = {"index": self._mender.index, "removed": removed}
                record(connection, "repair", filters=filters, ids=[], affected=len(gone), **self._act)
        return len(gone)

    @property
    def _act(self) -> dict[str, str]:
        return {"by": self.by, "reason": self.reason, "act_id": self.done.act_id}


def _wanted(tasks: Iterable[Task]) -> list[RepairEntity]:
    return [RepairEntity(entity_of(difference.id), version) for difference, version in tasks]
