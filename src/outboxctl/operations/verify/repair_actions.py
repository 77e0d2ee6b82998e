"""What a repair makes of each difference; pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

from outboxctl.operations.verify.model import Difference, DifferenceKind

# An application takes its next version from the row, and at 2^63-1 there is none. A version near to it
# was written by hand; half of the range is more than an honest one ever comes to.
HIGHEST = 2**62


class Deed(StrEnum):
    """What becomes of a difference; FOREIGN and NONE are left."""

    EVENT = "event"
    RAISE = "raise"  # an event, and its row's version raised
    REMOVE = "remove"  # at the sink: no event can name it
    FREE = "free"  # at the sink, then an event: its row would have to be raised beyond HIGHEST
    FOREIGN = "foreign"  # as REMOVE, but somebody said that it shall stay
    NONE = "none"  # no event can name the row


@dataclass
class Repaired:
    """What a repair did: events written, rows whose version was raised, documents removed at the sink.

    `freed` are those of the events before which the sink forgot a version that left no room for others.
    `left` are those that it did not touch: they changed meanwhile, their row was held by somebody, or
    they are beyond it. Of these `foreign` are documents that `--keep-foreign` spares, and
    `too_high` are such versions that it did not forget. `act_id` is empty where nothing was done.
    """

    act_id: str = field(default_factory=lambda: str(uuid4()))
    enqueued: int = 0
    raised: int = 0
    removed: int = 0
    freed: int = 0
    left: int = 0
    foreign: int = 0
    too_high: int = 0


def deed(difference: Difference, held: int = 0, *, remove_foreign: bool) -> Deed:
    """What to do; `held` is the version of the tombstone where the document is missing."""
    if not difference.target:
        if difference.kind is not DifferenceKind.EXTRA:
            return Deed.NONE
        return Deed.REMOVE if remove_foreign else Deed.FOREIGN
    needed, row = winning(difference, held), difference.source_version
    if difference.kind is DifferenceKind.EXTRA or (row is not None and row >= needed):
        return Deed.EVENT
    return Deed.RAISE if needed <= HIGHEST else Deed.FREE


def winning(difference: Difference, held: int = 0) -> int:
    """The version that wins: `external_gte` lets the very version of what is there overwrite it."""
    return max(0, difference.index_version or held)


def foresee(differences: Iterable[Difference], *, remove_foreign: bool) -> Repaired:
    """What a repair would do, as far as it is known without asking the sink for tombstones."""
    to_do = Counter(deed(difference, remove_foreign=remove_foreign) for difference in differences)
    foreign, freed = to_do[Deed.FOREIGN], to_do[Deed.FREE]
    return Repaired(
        act_id="",
        enqueued=to_do[Deed.EVENT] + to_do[Deed.RAISE] + freed,
        raised=to_do[Deed.RAISE],
        removed=to_do[Deed.REMOVE],
        freed=freed,
        left=to_do[Deed.NONE] + foreign,
        foreign=foreign,
    )
