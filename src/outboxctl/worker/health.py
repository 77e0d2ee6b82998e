"""The conditions that fail now: reported by the worker's threads, read by `/healthz` and `/readyz`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Classification
from outboxctl.domain.reason_texts import public_words

log = structlog.get_logger()
UNKNOWN = "not checked yet"
STOPPING = "the worker is stopping"
# Logged when a condition begins to fail, and when it ends.
MESSAGES = {"progress": ("no event succeeds", "events succeed again")}
PATIENCE = 1.0  # seconds without an answer until it fails: readiness must turn within two
# Seconds without a problem until a condition ends: where a part of the sink is ill, some requests fail and
# others succeed, and readiness must not alternate with them. The database has no parts.
RECOVERY_SECONDS = {"sink": 2.0}


@dataclass(frozen=True)
class Problem:
    """What is wrong: `text` for the log, which may quote either end; `public` in our own words only.

    The probes ask for no login, so they show the second.
    """

    text: str
    public: str


def problem_of(finding: Classification, *, begin: str = "", end: str = "") -> Problem:
    """A finding of the sink as a problem, between two texts of our own."""
    return Problem(f"{begin}{finding.words}{end}", f"{begin}{public_words(finding)}{end}")


class Health:
    """Failing conditions (`database`, `sink`, `draining`, `progress`) and when something last succeeded.

    Several observers may report one condition; it fails while one of them does.
    Thread-safe: any thread may call any method.
    """

    def __init__(self, sla: float) -> None:
        self._sla = sla
        self._began: dict[str, float] = {}  # of failing ones: since when
        # Of failing ones that nobody reports any more: since when, and the last problem.
        self._passing: dict[str, tuple[float, Problem]] = {}
        self._lock = threading.Lock()
        self._failing = {(name, "probe"): Problem(UNKNOWN, UNKNOWN) for name in ("database", "sink")}
        self._requested_at: dict[str, tuple[float, float]] = {}  # when, and the patience
        self._slow: dict[str, tuple[float, float]] = {}  # the last slow answer: when, and after how long
        self.taken_at = float("-inf")  # when the sink took an event last; set by `FlowControl`
        self._succeeded: float | None = None
        self._nothing_due = self._nothing_waiting = self._expanded = monotonic()

    @contextmanager
    def waiting_for(self, name: str, *, patience: float = PATIENCE) -> Iterator[None]:
        """Around a request to an end: its condition fails without an answer within `patience` seconds."""
        began = monotonic()
        self._requested_at[name] = began, patience
        try:
            yield
        finally:
            del self._requested_at[name]
            if monotonic() - began > patience:
                self._slow[name] = monotonic(), monotonic() - began

    def report(
        self, name: str, problem: Problem | str | None, *, observer: str = "probe", since: float | None = None
    ) -> None:
        """Set or clear the problem of one observer; log where a failure begins or ends.

        A `str` quotes neither side, so the probes may show it. `since`: when a problem began that is reported
        only once it has lasted (of this module's `monotonic`; None: now).
        """
        if isinstance(problem, str):
            problem = Problem(problem, problem)
        failing, again = MESSAGES.get(name, (f"the {name} cannot be used", f"the {name} can be used again"))
        with self._lock:
            before = self._failing.pop((name, observer), None)
            if problem:
                self._failing[name, observer] = problem
            fails = any(n == name and each.text != UNKNOWN for (n, _), each in self._failing.items())
            begins = fails and name not in self._began
            if fails:
                self._began.setdefault(name, monotonic() if since is None else since)
                self._passing.pop(name, None)
            lasted = None if fails else self._end(name, before)
        if begins:
            log.warning(failing, problem=problem.text if problem else "")
        elif lasted is not None:
            log.info(again, seconds=lasted)

    def _end(self, name: str, before: Problem | None) -> float | None:
        """End a condition that nobody reports any more; its seconds. The last problem is shown until then."""
        if name not in self._began:
            return None
        since, _ = self._passing.setdefault(name, (monotonic(), before or Problem(UNKNOWN, UNKNOWN)))
        if monotonic() - since < RECOVERY_SECONDS.get(name, 0.0):
            return None
        lasted = self._seconds(name)
        del self._began[name], self._passing[name]
        return lasted

    def outage(self, name: str) -> dict[str, object]:
        """Since when a condition fails, and its problem; empty where it does not fail."""
        problem = self._problems(lambda each: each.text).get(name)
        if not problem or name not in self._began:
            return {}
        return {"seconds": self._seconds(name), "problem": problem}

    def _seconds(self, name: str) -> float:
        until, _ = self._passing.get(name, (monotonic(), None))
        return round(until - self._began.get(name, until), 1)

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
        """Report the condition `progress`: it fails if events are due and none succeeded within the SLA.

        Its duration in the log counts from the last success, as people count an outage.
        """
        if not due:
            self._nothing_due = monotonic()
        since = max(self._nothing_due, self._succeeded or 0)
        self._stalled("probe", "events are due, no success for", since, due=due)

    def expanded(self) -> None:
        """Note that a change was expanded just now, or none waited."""
        self._expanded = monotonic()

    def following(self, *, due: bool) -> None:
        """Report `progress`, too, where changes could be expanded and none was within the SLA."""
        if not due:
            self.expanded()
        text = "changes of followed tables wait, none was expanded for"
        self._stalled("expander", text, self._expanded, due=due)

    def _stalled(self, observer: str, text: str, since: float, *, due: bool) -> None:
        age = monotonic() - since
        problem = f"{text} {age:.0f} s" if due and age > self._sla else None
        self.report("progress", problem, observer=observer, since=since)

    def failing(self) -> dict[str, str]:
        """The problem of each failing condition, in our own sentences; empty when ready."""
        return self._problems(lambda each: each.public)

    def _problems(self, text_of: Callable[[Problem], str]) -> dict[str, str]:
        now = monotonic()
        with self._lock:
            problems = [(name, text_of(problem)) for (name, _), problem in self._failing.items()]
            passing = [(name, text_of(last), now - since) for name, (since, last) in self._passing.items()]
        problems += [(name, _over(text, seconds)) for name, text, seconds in passing]
        problems += [(name, f"no answer for {waited:.1f} s") for name, waited in self._waits(now)]
        found: dict[str, list[str]] = {}
        for name, text in problems:
            found.setdefault(name, []).append(text)
        return {name: _joined(texts) for name, texts in found.items()}

    def _waits(self, now: float) -> Iterator[tuple[str, float]]:
        """What has not answered in time, or did not just now; no wait counts while deliveries succeed."""
        taking = now - self.taken_at < PATIENCE
        for name, (began, patience) in list(self._requested_at.items()):
            if now - began > patience and not (name == "sink" and taking):
                yield name, now - began
        for name, (at, seconds) in list(self._slow.items()):
            if now - at < RECOVERY_SECONDS.get(name, 0.0) and not taking:
                yield name, seconds


def _over(text: str, seconds: float) -> str:
    return f"{text}; not seen for {seconds:.1f} s, and over after {RECOVERY_SECONDS['sink']:g} s"


def _joined(texts: list[str]) -> str:
    """Each problem once: several observers report the same one, some in more words than others."""
    different = dict.fromkeys(texts)
    parts = [text for text in different if not any(text in other for other in different if other != text)]
    return "; ".join(parts)
