"""Whether the sink takes anything at all of what is sent to it."""

import threading
from collections.abc import Sequence

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import NO_ANSWER, Classification, Reason, Verdict
from outboxctl.worker.problem import Problem, problem_of

LONGEST = 10.0  # seconds in which nothing that was sent is taken, until that is a problem
# Answers about the sink; another retry may be about its event only.
OF_THE_SINK = NO_ANSWER | {Reason.UNAVAILABLE, Reason.GATEWAY, Reason.RATE_LIMITED}


class Standstill:
    """Deliveries in a row of which the sink took no event. Thread-safe: any lane may call `observe`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._since: float | None = None  # when the first of these deliveries began
        self._last: Classification | None = None

    def observe(self, findings: Sequence[Classification | None], *, sent_at: float) -> None:
        """Take the findings of a delivery that began at `sent_at` (monotonic)."""
        refused = [finding for finding in findings if finding and _of_the_sink(finding)]
        with self._lock:
            if any(finding and finding.verdict in (Verdict.DONE, Verdict.FAIL) for finding in findings):
                self._taken_at, self._since = monotonic(), None
            elif refused:
                self._last = refused[0]
                if self._since is None:
                    self._since = max(sent_at, self._taken_at)

    def idle(self) -> None:
        """Note that no event waits."""
        self._since = None

    def taken_within(self, seconds: float) -> bool:
        """Whether an event was taken within the last so many seconds."""
        return monotonic() - self._taken_at < seconds

    def problem(self) -> Problem | None:
        """What keeps the sink from taking events, once that has lasted; None while it takes some."""
        with self._lock:
            since, last = self._since, self._last
        if since is None or last is None or monotonic() - since <= LONGEST:
            return None
        return problem_of(last, begin=f"nothing was taken for {monotonic() - since:.0f} s: ")


def _of_the_sink(finding: Classification) -> bool:
    return finding.verdict is Verdict.OUTAGE or finding.reason in OF_THE_SINK
