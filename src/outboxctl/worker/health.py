"""The conditions that fail now: reported by the worker's threads, read by `/healthz` and `/readyz`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from outboxctl.domain.clock import monotonic

log = structlog.get_logger()
UNKNOWN = "not checked yet"
STOPPING = "the worker is stopping"
# Logged when a condition begins to fail, and when it ends.
MESSAGES = {"progress": ("no event succeeds", "events succeed again")}
PATIENCE = 1.0  # seconds without an answer until it fails: readiness must turn within two


@dataclass(frozen=True)
class Problem:
    """What is wrong: `text` for the log, which may quote either end; `public` in our own words only.

    The probes ask for no login, so they show the second.
    """

    text: str
    public: str


class Health:
    """Failing conditions (`database`, `sink`, `draining`, `progress`) and when something last succeeded.

    Several observers may report one condition; it fails while one of them does. `put_off` returns how many
    deliveries were put off so far: the log line of a sink that can be used again counts those of the outage.
    Thread-safe: any thread may call any method.
    """

    def __init__(self, sla: float, *, put_off: Callable[[], int] = lambda: 0) -> None:
        self._sla, self._put_off = sla, put_off
        self._began: dict[str, tuple[float, int]] = {}  # of failing ones: since when, and put off before
        self._lock = threading.Lock()
        self._failing = {(name, "probe"): Problem(UNKNOWN, UNKNOWN) for name in ("database", "sink")}
        self._requested_at: dict[str, float] = {}
        self._succeeded: float | None = None
        self._nothing_due = self._nothing_waiting = monotonic()

    @contextmanager
    def waiting_for(self, name: str) -> Iterator[None]:
        """Around a request to the database or the sink: without an answer its condition fails."""
        self._requested_at[name] = monotonic()
        try:
            yield
        finally:
            del self._requested_at[name]

    def report(self, name: str, problem: Problem | str | None, *, observer: str = "probe") -> None:
        """Set or clear the problem of one observer; log where a failure begins or ends.

        A `str` quotes neither side, so the probes may show it.
        """
        if isinstance(problem, str):
            problem = Problem(problem, problem)
        with self._lock:
            was_failing = self._observed_failing(name)
            self._failing.pop((name, observer), None)
            if problem:
                self._failing[name, observer] = problem
            fails = self._observed_failing(name)
        begins, ends = MESSAGES.get(name, (f"the {name} cannot be used", f"the {name} can be used again"))
        if fails and not was_failing:
            self._began[name] = monotonic(), self._put_off()
            log.warning(begins, problem=problem.text if problem else "")
        elif was_failing and not fails:
            log.info(ends, **self._course(name))
            self._began.pop(name, None)

    def outage(self, name: str) -> dict[str, object]:
        """Since when a condition fails, and its problem; empty where it does not fail."""
        problem = self._problems(lambda each: each.text).get(name)
        return self._course(name) | {"problem": problem} if problem and name in self._began else {}

    def _course(self, name: str) -> dict[str, object]:
        began, before = self._began.get(name, (monotonic(), self._put_off()))
        course: dict[str, object] = {"seconds": round(monotonic() - began, 1)}
        return course | ({"put_off": self._put_off() - before} if name == "sink" else {})

    def _observed_failing(self, name: str) -> bool:
        return any(n == name and each.text != UNKNOWN for (n, _), each in self._failing.items())

    def drain(self) -> None:
        """Not ready from now on: the worker is stopping."""
        with self._lock:
            self._failing["draining", "self"] = Problem(STOPPING, STOPPING)

    def succeeded(self) -> None:
        """Note that an event was completed just now."""
        self._succeeded = monotonic()

    def last_success_seconds(self) -> float | None:
        """Seconds since this process last completed an event, None before the first."""
        return None if self._succeeded is None else round(monotonic() - self._succeeded, 3)

    def idle(self) -> None:
        """Note that no event waits for anything just now."""
        self._nothing_waiting = monotonic()

    def progress_age(self) -> float:
        """Seconds since an event was last completed, or none waited."""
        return monotonic() - max(self._nothing_waiting, self._succeeded or 0)

    def progress(self, *, due: bool) -> None:
        """Report the condition `progress`: it fails if events are due and none succeeded within the SLA."""
        if not due:
            self._nothing_due = monotonic()
        age = monotonic() - max(self._nothing_due, self._succeeded or 0)
        stalled = due and age > self._sla
        self.report("progress", f"events are due, no success for {age:.0f} s" if stalled else None)

    def failing(self) -> dict[str, str]:
        """The problem of each failing condition, in our own sentences; empty when ready."""
        return self._problems(lambda each: each.public)

    def _problems(self, text_of: Callable[[Problem], str]) -> dict[str, str]:
        with self._lock:
            problems = [(key, text_of(problem)) for key, problem in self._failing.items()]
        for name, requested_at in list(self._requested_at.items()):
            if (waited := monotonic() - requested_at) > PATIENCE:
                problems.append(((name, "waiting"), f"no answer for {waited:.1f} s"))
        names = dict.fromkeys(name for (name, _), _ in problems)
        return {name: _joined([text for (n, _), text in problems if n == name]) for name in names}


def _joined(texts: list[str]) -> str:
    """Each problem once: several observers report the same one, some in more words than others."""
    different = dict.fromkeys(texts)
    parts = [text for text in different if not any(text in other for other in different if other != text)]
    return "; ".join(parts)
