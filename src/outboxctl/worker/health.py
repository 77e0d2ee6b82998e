"""What is wrong right now, by name: fed by the worker's threads, read by the probes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import structlog

log = structlog.get_logger()
UNKNOWN = "not checked yet"
PATIENCE = 1.0  # seconds without an answer until that is said: readiness must turn within two


class Health:
    """Failing conditions (`database`, `sink`, `draining`, `progress`) and when something last succeeded.

    Two observers may report one condition; it is well again when none of them sees it fail.
    """

    def __init__(self, sla: float) -> None:
        self._sla = sla
        self._lock = threading.Lock()
        self._failing = {("database", "probe"): UNKNOWN, ("sink", "probe"): UNKNOWN}
        self._asked: dict[str, float] = {}
        self._succeeded: float | None = None
        self._nothing_due = self._nothing_waiting = monotonic()

    @contextmanager
    def waiting_for(self, name: str) -> Iterator[None]:
        """Around a question to one end: no answer for too long is a failing condition by itself."""
        self._asked[name] = monotonic()
        try:
            yield
        finally:
            del self._asked[name]

    def report(self, name: str, problem: str | None, *, observer: str = "probe") -> None:
        """Set or clear what one observer says of a condition; a change of the whole is logged once."""
        with self._lock:
            was_failing = self._seen_failing(name)
            self._failing.pop((name, observer), None)
            if problem:
                self._failing[name, observer] = problem
            fails = self._seen_failing(name)
        if fails and not was_failing:
            log.warning(f"{name} is failing", problem=problem)
        elif was_failing and not fails:
            log.info(f"{name} is well again")

    def _seen_failing(self, name: str) -> bool:
        return any(n == name and text != UNKNOWN for (n, _), text in self._failing.items())

    def drain(self) -> None:
        """Not ready from now on: the worker is stopping."""
        with self._lock:
            self._failing["draining", "self"] = "the worker is stopping"

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
        """Judge progress: events are due, and nothing succeeded within the SLA."""
        if not due:
            self._nothing_due = monotonic()
        silent = monotonic() - max(self._nothing_due, self._succeeded or 0)
        stalled = due and silent > self._sla
        self.report("progress", f"events are due, no success for {silent:.0f} s" if stalled else None)

    def failing(self) -> dict[str, str]:
        """What fails now; empty when ready."""
        with self._lock:
            seen = list(self._failing.items())
        for name, asked in list(self._asked.items()):
            if monotonic() - asked > PATIENCE:
                seen.append(((name, "waiting"), f"no answer for {monotonic() - asked:.1f} s"))
        names = dict.fromkeys(name for (name, _), _ in seen)
        return {name: _once([text for (n, _), text in seen if n == name]) for name in names}


def _once(texts: list[str]) -> str:
    """Each error once: several observers report the same one, and some more of it than others."""
    different = dict.fromkeys(texts)
    parts = [text for text in different if not any(text in other for other in different if other != text)]
    return "; ".join(parts)
