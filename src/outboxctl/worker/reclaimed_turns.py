"""When reclaimed events are claimed: apart from all others, one of them may be what ended its worker."""

from outboxctl.domain.clock import monotonic

TURN = 1.0  # seconds that reclaimed events have the process to themselves, and then the others
PATIENCE = 1.0  # seconds that lanes wait for batches in progress; each time in vain doubles it


class ReclaimedTurns:
    """Whether reclaimed events may be claimed now, or all others.

    The lane that holds the claim lock calls the methods; `may_exist` is set by any thread. A turn begins
    once nothing else is in flight: waiting for batches in progress does not count. `patience` is how long to
    wait for them: where they take longer, the others have as long a turn first.
    """

    def __init__(self) -> None:
        self.may_exist = False  # there may be reclaimed events: cleared by a claim that returned none
        self._ends = self._others_end = 0.0
        self.patience = PATIENCE

    def due(self) -> bool:
        """Whether to wait for the batches in progress, and then claim reclaimed events."""
        return self.may_exist and monotonic() >= self._others_end

    def put_off(self) -> None:
        """Batches in progress took longer than `patience`."""
        self._ends, self._others_end = 0.0, monotonic() + self.patience
        self.patience *= 2

    def begin(self) -> bool:
        """Nothing else is in flight: whether reclaimed events may be claimed, or their turn has ended."""
        now, self.patience = monotonic(), PATIENCE
        if self._ends and now >= self._ends:
            self._ends, self._others_end = 0.0, now + TURN
            return False
        self._ends = self._ends or now + TURN
        return True

    def none_left(self) -> None:
        """A claim returned no reclaimed event."""
        self.may_exist, self._ends = False, 0.0
