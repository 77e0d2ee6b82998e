"""Repairing documents of a projection: an ordinary event has each read again; no version has to be raised."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outboxctl.core.projections import events
from outboxctl.domain.projection import Projection
from outboxctl.operations.verify.model import MENDED_BY_EVENTS, Difference
from outboxctl.operations.verify.repair import Repair, RepairAction, Repaired, foreseen


def action_for(difference: Difference, *, remove_foreign: bool) -> RepairAction:
    """What to do about a difference: an event of a row that cannot be read, say, would fail."""
    if difference.kind not in MENDED_BY_EVENTS:
        return RepairAction.NONE
    if difference.key is not None:
        return RepairAction.EVENT
    return RepairAction.REMOVE if remove_foreign else RepairAction.FOREIGN


def foresee(differences: Iterable[Difference], *, remove_foreign: bool) -> Repaired:
    """What a repair would do."""
    return foreseen(action_for(difference, remove_foreign=remove_foreign) for difference in differences)


@dataclass(frozen=True, kw_only=True)
class ProjectedRepair(Repair):
    """The repair of one projection.

    Documents whose id is no key, or a hash of none that is there, are removed only if `remove_foreign`.
    """

    projection: Projection

    def _repair_batch(self, some: Sequence[Difference]) -> None:
        to_do: dict[RepairAction, list[Difference]] = {each: [] for each in RepairAction}
        for difference in some:
            to_do[action_for(difference, remove_foreign=self.remove_foreign)].append(difference)
        self.done.foreign += len(to_do[RepairAction.FOREIGN])
        self._enqueue(to_do[RepairAction.EVENT])
        self._remove(to_do[RepairAction.REMOVE])

    def _enqueue(self, differences: Sequence[Difference]) -> None:
        keys = [difference.key for difference in differences if difference.key is not None]
        if not keys:
            return
        kinds = Counter(difference.kind.value for difference in differences)
        filters = {"index": self.mender.index, "projection": self.projection.name, **kinds}
        with self.database.begin() as connection:
            ids = events.repair(connection, self.projection.name, keys, filters=filters, **self._act)
        self.done.enqueued += len(ids)
        self.done.left -= len(ids)
