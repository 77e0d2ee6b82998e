"""Healing what differs: ordinary events for all that an event can name, and a fenced removal for the rest.

An event heals only if its row's version is not below what the index holds, so where it is, the row's
version is raised to that, in the transaction of the event (see ADR 12).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.operator import repair
from outboxctl.core.operator.audit import record
from outboxctl.core.operator.repair import RepairEntity
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.operations.verify.repair_actions import Deed, Repaired, deed, winning
from outboxctl.sink.index.repair import DocumentVersion, Mender

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
            self.done.too_high += len(to_do[Deed.TOO_HIGH])
            if to_do[Deed.EVENT] or to_do[Deed.RAISE]:
                self._enqueue(to_do[Deed.EVENT], to_do[Deed.RAISE])
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
        both = [*plain, *raises]
        with self.database.begin() as connection:
            written = repair.enqueue(
                connection,
                upserts=_wanted(task for task in both if task[0].kind is not DifferenceKind.EXTRA),
                raises=_wanted(raises),
                deletes=_wanted(task for task in both if task[0].kind is DifferenceKind.EXTRA),
                by=self.by,
                reason=self.reason,
                act_id=self.done.act_id,
                filters={"index": self.mender.index, **Counter(d.kind.value for d, _ in both)},
            )
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


def _wanted(tasks: Iterable[Task]) -> list[RepairEntity]:
    return [RepairEntity(difference.target, version) for difference, version in tasks if difference.target]
