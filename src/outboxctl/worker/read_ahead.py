"""Keys of follow events that this worker has read, and not written yet."""

from collections.abc import Callable

from outboxctl.core.projections.follow_keys import AHEAD, KeysAhead
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.domain.clock import monotonic
from outboxctl.domain.projection import Projection

KEPT = 4  # follow events: of each at most 50,000 keys or 4 MiB, some 25 MB in all
LONGEST = 60.0  # seconds: another worker may have written all of them


class ReadAhead:
    """The keys of a few follow events by the event; any thread may call it.

    What is here is a copy: a worker that does not have an event's keys, or not those behind its cursor, reads
    them again.
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
        return ahead if ahead and ahead.fits(event) else None

    def forget_old(self, current: Callable[[str], Projection | None]) -> None:
        """Forget what was kept for long, and keys of a declaration that is no longer in force."""
        since = monotonic() - LONGEST
        for id_, (ahead, at) in list(self._kept.items()):  # a copy, in one step: other threads add to it
            if at <= since or current(ahead.projection.name) != ahead.projection:
                self._kept.pop(id_, None)
