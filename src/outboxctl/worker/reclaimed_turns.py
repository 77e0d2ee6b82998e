"""When reclaimed events are claimed: apart from all others, one of them may be what ended its worker."""

from outboxctl.domain.clock import monotonic

TURN = 1.0  # seconds that reclaimed events have the process to themselves, and then the others


class ReclaimedTurns:
    """Whether reclaimed events may be claimed now, or all others.

    The lane that holds the claim lock calls the methods; `may_exist` is set by any thread. A turn begins
    once nothing else is in flight: waiting for batches in progress does not count.
    """

    def __init__(self) -> None:
        self.may_exist = False  # there may be reclaimed events: cleared by a claim that returned none
        self._ends = self._others_end = 0.0

    def due(self) -> bool:
        """Whether to wait for the batches in progress, and then claim reclaimed events."""
        return self.may_exist and monotonic() >= self._others_end

    def begin(self) -> bool:
        """Nothing else is in flight: whether reclaimed events may be claimed, or their turn has ended."""
        now = monotonic()
        if self._ends and now >= self._ends:
            self._ends, self._others_end = 0.0, now + TURN
            return False
        self._ends = self._ends or now + TURN
        return True

    def none_left(self) -> None:
        """A claim returned no reclaimed event."""
        self.may_exist, self._ends = False, 0.0
