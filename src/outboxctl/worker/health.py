"""What is wrong right now, by name: fed by the worker's threads, read by the probes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from outboxctl.domain.clock import monotonic

log = structlog.get_logger()
UNKNOWN = "not checked yet"
STOPPING = "the worker is stopping"
# What is logged when a condition begins to fail, and when it ends.
WORDS = {"progress": ("no event succeeds", "events succeed again")}
PATIENCE = 1.0  # seconds without an answer until that is said: readiness must turn within two


@dataclass(frozen=True)
class Problem:
    """What is wrong: `text` for the log, which may quote either end; `public` in our own words only.

    The probes ask for no login, so they show the second.
    """

    text: str
    public: str


class Health:
    """Failing conditions (`database`, `sink`, `draining`, `progress`) and when something last succeeded.

    Two observers may report one condition; it ends when none of them sees it fail. `put_off` returns how
    many deliveries were put off so far: a sink that can be used again says how many its outage cost.
    """

    def __init__(self, sla: float, *, put_off: Callable[[], int] = lambda: 0) -> None:
        self._sla, self._put_off = sla, put_off
        self._began: dict[str, tuple[float, int]] = {}  # of what fails: when, and what was put off before
        self._lock = threading.Lock()
        self._failing = {(name, "probe"): Problem(UNKNOWN, UNKNOWN) for name in ("database", "sink")}
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

    def report(self, name: str, problem: Problem | str | None, *, observer: str = "probe") -> None:
        """Set or clear what one observer says of a condition; a change of the whole is logged once.

        A text is in our own words.
        """
        if isinstance(problem, str):
            problem = Problem(problem, problem)
        with self._lock:
            was_failing = self._seen_failing(name)
            self._failing.pop((name, observer), None)
            if problem:
                self._failing[name, observer] = problem
            fails = self._seen_failing(name)
        begins, ends = WORDS.get(name, (f"the {name} cannot be used", f"the {name} can be used again"))
        if fails and not was_failing:
            self._began[name] = monotonic(), self._put_off()
            log.warning(begins, problem=problem.text if problem else "")
        elif was_failing and not fails:
            log.info(ends, **self._course(name))
            self._began.pop(name, None)

    def outage(self, name: str) -> dict[str, object]:
        """What a condition that fails has cost so far, and its problem; empty where it does not fail."""
        problem = self._said(lambda each: each.text).get(name)
        return self._course(name) | {"problem": problem} if problem and name in self._began else {}

    def _course(self, name: str) -> dict[str, object]:
        began, before = self._began.get(name, (monotonic(), self._put_off()))
        course: dict[str, object] = {"seconds": round(monotonic() - began, 1)}
        return course | ({"put_off": self._put_off() - before} if name == "sink" else {})

    def _seen_failing(self, name: str) -> bool:
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
        """Judge progress: events are due, and nothing succeeded within the SLA."""
        if not due:
            self._nothing_due = monotonic()
        silent = monotonic() - max(self._nothing_due, self._succeeded or 0)
        stalled = due and silent > self._sla
        self.report("progress", f"events are due, no success for {silent:.0f} s" if stalled else None)

    def failing(self) -> dict[str, str]:
        """What fails now, in our own words; empty when ready."""
        return self._said(lambda each: each.public)

    def _said(self, words: Callable[[Problem], str]) -> dict[str, str]:
        with self._lock:
            seen = [(key, words(problem)) for key, problem in self._failing.items()]
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
