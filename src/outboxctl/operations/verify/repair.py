"""Healing what differs: ordinary events for all that an event can name, and a fenced removal for the rest.

An event heals only if its row's version is not below what the index holds, so where it is, the row's
version is raised to that, in the transaction of the event (see ADR 12).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Any

from outboxctl.core.database import Database
from outboxctl.core.operator import repair
from outboxctl.core.operator.audit import record
from outboxctl.core.operator.repair import Enqueued, RepairEntity
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.operations.verify.repair_actions import HIGHEST, Deed, Repaired, deed, winning
from outboxctl.sink.index.repair import DocumentVersion, Mender
from outboxctl.sink.index.reset import reset

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

BATCH = 500  # entities a transaction
Task = tuple[Difference, int]  # and the version that its event must have at least


@dataclass(frozen=True)
class Repair:
    """One repair of one index by one person, in batches; `check` is called before each, and may raise.

    Documents that no event can name are removed only if `remove_foreign`.
    """

    database: Database
    mender: Mender
    by: str
    reason: str
    remove_foreign: bool = False
    check: Callable[[], object] = lambda: None
    done: Repaired = field(default_factory=Repaired)

    def run(self, differences: Iterable[Difference], *, stop: Event) -> None:
        """Heal these, none of which is in flight, batch by batch until `stop` is set."""
        rest = iter(differences)
        while not stop.is_set() and (some := list(islice(rest, BATCH))):
            self.check()
            self.done.left += len(some)
            to_do = self._sorted(some)
            self.done.foreign += len(to_do[Deed.FOREIGN])
            if to_do[Deed.EVENT] or to_do[Deed.RAISE]:
                self._enqueue(to_do[Deed.EVENT], to_do[Deed.RAISE])
            if to_do[Deed.FREE]:
                self._free(to_do[Deed.FREE])
            if to_do[Deed.REMOVE]:
                self._remove([difference for difference, _ in to_do[Deed.REMOVE]])

    def undelivered(self) -> int:
        """How many of its events are still under way."""
        with self.database.begin() as connection:
            return repair.undelivered(connection, self.done.act_id)

    def _sorted(self, some: Sequence[Difference]) -> dict[Deed, list[Task]]:
        """By what is to be done, each with the version that it takes; the sink is asked for tombstones."""
        held = self.mender.versions_left(
            [d.id for d in some if d.kind is DifferenceKind.MISSING and d.target]
        )
        to_do: dict[Deed, list[Task]] = {each: [] for each in Deed}
        for d in some:
            version = held.get(d.id, 0)
            to_do[deed(d, version, remove_foreign=self.remove_foreign)].append((d, winning(d, version)))
        return to_do

    def _enqueue(self, plain: Sequence[Task], raises: Sequence[Task]) -> None:
        with self.database.begin() as connection:
            written = self._written(connection, plain, raises)
        self._count(written)

    def _free(self, stuck: Sequence[Task]) -> None:
        """Have the sink forget versions that leave no room, each with an event at once.

        The rows are held meanwhile, and no event is written of one that could not be: a row that is deleted
        has its delete event after this, and it wins over what the sink then holds.
        """
        with self.database.begin() as connection:
            keys = [difference.target for difference, _ in stuck if difference.target]
            rows = repair.hold(connection, keys)
            ours = [(d, version) for d, version in stuck if d.id in rows]
            held = reset(self.mender, [(d.id, _version_in_index(d)) for d, _ in ours], above=HIGHEST)
            freed = [(d, max(held[d.id], rows[d.id] or 0)) for d, _ in ours if d.id in held]
            was = {d.id: version for d, version in ours if d.id in held}
            written = self._written(connection, [], freed, freed=was) if freed else Enqueued([], {})
        self._count(written)
        self.done.freed += len(freed)
        self.done.too_high += len(ours) - len(freed)

    def _written(
        self, connection: "Connection", plain: Sequence[Task], raises: Sequence[Task], **told: Any
    ) -> Enqueued:
        both = [*plain, *raises]
        return repair.enqueue(
            connection,
            upserts=_wanted(task for task in both if task[0].kind is not DifferenceKind.EXTRA),
            raises=_wanted(raises),
            deletes=_wanted(task for task in both if task[0].kind is DifferenceKind.EXTRA),
            by=self.by,
            reason=self.reason,
            act_id=self.done.act_id,
            filters={"index": self.mender.index, **Counter(d.kind.value for d, _ in both), **told},
        )

    def _count(self, written: Enqueued) -> None:
        self.done.enqueued += len(written.ids)
        self.done.raised += len(written.raised)
        self.done.left -= len(written.ids)

    def _remove(self, foreign: Sequence[Difference]) -> None:
        """Delete what no event can name. The audit row, after the sink's word, holds what is gone."""
        seen = [DocumentVersion(d.id, d.seq_no or 0, d.primary_term or 0) for d in foreign]
        with self.database.begin() as connection:
            gone = self.mender.remove(seen)
            if gone:
                told = [id_.replace("\x00", "\\x00") for id_ in gone]  # jsonb takes no NUL
                record(
                    connection,
                    "repair",
                    by=self.by,
                    reason=self.reason,
                    filters={"index": self.mender.index, "removed": told},
                    ids=[],
                    affected=len(gone),
                    act_id=self.done.act_id,
                )
        self.done.removed += len(gone)
        self.done.left -= len(gone)


def _version_in_index(difference: Difference) -> DocumentVersion | None:
    """The document, None where there is only its tombstone."""
    if difference.index_version is None:
        return None
    return DocumentVersion(difference.id, difference.seq_no or 0, difference.primary_term or 0)


def _wanted(tasks: Iterable[Task]) -> list[RepairEntity]:
    return [RepairEntity(difference.target, version) for difference, version in tasks if difference.target]
