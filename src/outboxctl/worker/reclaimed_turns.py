"""When reclaimed events are taken, with nothing else in the process: in turns with all the others."""

from outboxctl.domain.clock import monotonic

TURN = 1.0  # seconds that reclaimed events have the process to themselves, and then the others


class ReclaimedTurns:
    """Whose turn it is; used by one lane at a time, behind the turnstile.

    Their turn begins when the process is theirs: waiting for batches under way does not count.
    """

    def __init__(self) -> None:
        self.occupied = False  # there may be some: set by maintenance, cleared by a look that found none
        self._ends = self._others_end = 0.0

    def their_turn(self) -> bool:
        """Whether it is worth to let the batches under way end and look for reclaimed events."""
        return self.occupied and monotonic() >= self._others_end

    def enter(self) -> bool:
        """Nothing else is in flight: whether some may be taken now, or their turn has just ended."""
        now = monotonic()
        if self._ends and now >= self._ends:
            self._ends, self._others_end = 0.0, now + TURN
            return False
        self._ends = self._ends or now + TURN
        return True

    def leave(self) -> None:
        """None was found."""
        self.occupied, self._ends = False, 0.0
