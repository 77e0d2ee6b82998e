"""How one worker expands the changes of each followed table: how many at once, and when.

So a table that is locked, slow or broken waits for itself, and no other table for it. Beside it what a worker
keeps of follow events: keys that it has read ahead.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from outboxctl.core.projections.follow_keys import AHEAD, KeysAhead
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.core.projections.follow_tables import MOST, FollowedTable
from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import monotonic
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, Projection

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds after a refusal; each one doubles the next
GROWTH = 4
KEPT = 4  # follow events of which keys are kept: of each at most 50,000 or 4 MiB, some 25 MB in all
LONGEST = 60.0  # seconds that they are kept: another worker may have written all of them


@dataclass(frozen=True)
class Limits:
    """Seconds for a statement that finds keys, and for its wait for a lock.

    `patient`: what takes longer is tried again later; else it is left to the thread that has time.
    """

    seconds: float
    lock_seconds: float
    patient: bool


QUICK = Limits(1.0, 0.1, patient=False)


@dataclass
class Turn:
    """A followed table of a projection; used by one thread at a time.

    `size` events are expanded together; 1: one by itself, in pages. A `slow` one is left to the thread that
    has time. `half`: ids of the key events of this half page, `before` of the one before it, of which the
    first and the last count; `keys`: how many were written for this half.
    """

    slow: bool = False
    size: int = 1
    pauses: Pauses = field(default_factory=partial(Pauses, FIRST_PAUSE, LONGEST_PAUSE))
    keys: int = 0
    half: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)

    def refused(self, now: float) -> bool:
        """Wait before the next try; whether this is the first refusal of several."""
        self.pauses.failed(now)
        return self.pauses.failures == 1

    def wrote(self, events: int, keys: int, ends: Sequence[str], seconds: float) -> None:
        """So many events were expanded to their end in so many `seconds`; `ends` as `follow_pages.write`."""
        self.pauses.ended()
        self.keys += keys
        self.half = [*self.half, *ends]
        self.slow = seconds > QUICK.seconds / 2  # each table waits for the turns of all others of its thread
        room = events * HALF // max(1, keys)
        self.size = min(MOST, max(self.size, min(GROWTH * events, room)))

    def shrink(self) -> None:
        """These were too many together."""
        self.size = max(1, self.size // 2)

    @property
    def full(self) -> bool:
        """Whether half a page of keys was written: others wait until those of the half before are taken."""
        return self.keys >= HALF

    def next_half(self) -> None:
        """The next half page begins."""
        self.before, self.half, self.keys = self.half, [], 0


class Turns:
    """The followed tables of one worker. Each is used by one of its two threads, as its `slow` says."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, int], Turn] = {}

    def of(self, table: FollowedTable) -> Turn:
        """The state of this table."""
        new = Turn(slow=table.place == EVERYTHING)  # it reads all keys of a view, and lists an index
        return self._turns.setdefault((table.projection, table.place), new)

    def open(
        self, tables: Iterable[FollowedTable], now: float, *, slow: bool | None = None
    ) -> list[tuple[FollowedTable, Turn]]:
        """Those of these tables whose turn it is, of slow or of quick ones alone if set."""
        pairs = [(table, self.of(table)) for table in tables]
        return [
            (table, turn)
            for table, turn in pairs
            if turn.pauses.due(now) and (slow is None or turn.slow is slow)
        ]


class ReadAhead:
    """Keys of a few follow events that were read and not written yet, by the event; any thread may call it.

    A worker that does not have those behind an event's cursor reads them again.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[KeysAhead, float]] = {}

    @property
    def size(self) -> int:
        """How many keys of another event may be read: where there is no room, those that are written."""
        return AHEAD if len(self._kept) < KEPT else HALF

    def keep(self, ahead: KeysAhead | None) -> None:
        """Keep these keys of an event, if there are any."""
        if ahead:
            self._kept[ahead.event.id] = ahead, monotonic()

    def take(self, event: FollowEvent) -> KeysAhead | None:
        """The keys behind the event's cursor; None where they are not here. They are no longer kept."""
        ahead, _ = self._kept.pop(event.id, (None, 0.0))
        return replace(ahead, event=event) if ahead and ahead.fits(event) else None

    def forget_old(self, current: Callable[[str], Projection | None]) -> None:
        """Forget what was kept for long, and keys of a declaration that is no longer in force."""
        since = monotonic() - LONGEST
        for id_, (ahead, at) in list(self._kept.items()):  # a copy, in one step: other threads add to it
            if at <= since or current(ahead.projection.name) != ahead.projection:
                self._kept.pop(id_, None)


def name_of(table: FollowedTable, projection: Projection | None) -> str:
    """The followed table's name, as far as it is known."""
    if table.place == EVERYTHING:
        return "every document"
    if table.place == DOCUMENTS and projection:
        return str(projection.root)
    followed = projection.follow[table.place : table.place + 1] if projection else ()
    return str(followed[0].table) if followed else f"place {table.place}"
