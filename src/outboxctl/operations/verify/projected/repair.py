"""Repairing documents of a projection: an ordinary event has each read again; no version has to be raised."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.operator import repair
from outboxctl.core.projections import events
from outboxctl.domain.projection import Projection
from outboxctl.operations.verify.projected.model import MENDED_BY_EVENTS, ProjectedDifference
from outboxctl.operations.verify.repair import BATCH, RepairAction, Repaired, remove
from outboxctl.sink.index.repair import Mender


def action_for(difference: ProjectedDifference, *, remove_foreign: bool) -> RepairAction:
    """What to do about a difference: an event of a row that cannot be read, say, would fail."""
    if difference.kind not in MENDED_BY_EVENTS:
        return RepairAction.NONE
    if difference.key is not None:
        return RepairAction.EVENT
    return RepairAction.REMOVE if remove_foreign else RepairAction.FOREIGN


def foresee(differences: Iterable[ProjectedDifference], *, remove_foreign: bool) -> Repaired:
    """What a repair would do."""
    to_do = Counter(action_for(difference, remove_foreign=remove_foreign) for difference in differences)
    foreign = to_do[RepairAction.FOREIGN]
    return Repaired(
        act_id="",
        enqueued=to_do[RepairAction.EVENT],
        removed=to_do[RepairAction.REMOVE],
        left=to_do[RepairAction.NONE] + foreign,
        foreign=foreign,
    )


@dataclass(frozen=True)
class ProjectedRepair:
    """One repair of one projection by one person, in batches; `check` is called before each, and may raise.

    Documents whose id is no key, or a hash of none that is there, are removed only if `remove_foreign`.
    """

    database: Database
    mender: Mender
    projection: Projection
    by: str
    reason: str
    remove_foreign: bool = False
    check: Callable[[], object] = lambda: None
    done: Repaired = field(default_factory=Repaired)

    def run(self, differences: Iterable[ProjectedDifference], *, stop: Event) -> None:
        """Repair these, none of which is in flight, batch by batch until `stop` is set."""
        rest = iter(differences)
        while not stop.is_set() and (some := list(islice(rest, BATCH))):
            self.check()
            self.done.left += len(some)
            to_do: dict[RepairAction, list[ProjectedDifference]] = {each: [] for each in RepairAction}
            for difference in some:
                to_do[action_for(difference, remove_foreign=self.remove_foreign)].append(difference)
            self.done.foreign += len(to_do[RepairAction.FOREIGN])
            self._enqueue(to_do[RepairAction.EVENT])
            self._remove(to_do[RepairAction.REMOVE])

    def undelivered(self) -> int:
        """How many of its events are still under way."""
        with self.database.begin() as connection:
            return repair.undelivered(connection, self.done.act_id)

    def _enqueue(self, differences: Sequence[ProjectedDifference]) -> None:
        keys = [difference.key for difference in differences if difference.key is not None]
        if not keys:
            return
        kinds = Counter(difference.kind.value for difference in differences)
        filters = {"index": self.mender.index, "projection": self.projection.name, **kinds}
        with self.database.begin() as connection:
            ids = events.repair(connection, self.projection.name, keys, filters=filters, **self._act)
        self.done.enqueued += len(ids)
        self.done.left -= len(ids)

    def _remove(self, foreign: Sequence[ProjectedDifference]) -> None:
        if foreign:
            gone = remove(self.database, self.mender, foreign, **self._act)
            self.done.removed += gone
            self.done.left -= gone

    @property
    def _act(self) -> dict[str, str]:
        return {"by": self.by, "reason": self.reason, "act_id": self.done.act_id}
