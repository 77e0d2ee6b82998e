"""A worker logs what it does once a minute, and the same trouble once: an outage costs a few lines."""

from collections.abc import Callable
from random import Random

import pytest
from structlog.testing import capture_logs

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict
from outboxctl.metrics.registry import Metrics
from outboxctl.worker import health
from outboxctl.worker import reports as progress_log
from outboxctl.worker.health import RECOVERY_SECONDS, Health
from outboxctl.worker.reports import MINUTE, ProgressLog, Repeats
from outboxctl.worker.settling.outcome import RetryPolicy, decide
from outboxctl.worker.settling.tally import settled

pytestmark = pytest.mark.no_servers
Settle = Callable[[Classification], None]
POLICY = RetryPolicy(max_attempts=3, base=0.5, cap=30)
AWAY = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
BUSY = Classification(Verdict.RETRY, Reason.RATE_LIMITED, error="429")
MAPPING = Classification(Verdict.FAIL, Reason.MAPPING, error="400 mapping")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    for module in (progress_log, health):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def settle(metrics: Metrics) -> Settle:
    """Settle a batch of two that all came to one end."""
    repeats = Repeats()

    def two(finding: Classification) -> None:
        events = [Claimed(name, f"block:{name}", "upsert", 1, 1, 1, "{}") for name in ("a", "b")]
        outcomes = decide([(event, finding) for event in events], POLICY, Random(1))
        settled(metrics, outcomes, {"a", "b"}, set(), repeats)

    return two


def test_a_line_a_minute_says_what_was_done_in_it(
    clock: list[float], metrics: Metrics, settle: Settle
) -> None:
    progress = ProgressLog(metrics, Health(300))
    metrics.set("lag", 7)
    for finding in (DONE, DONE, BUSY, MAPPING):
        settle(finding)
    with capture_logs() as lines:
        progress.turn()
        clock[0] += MINUTE
        progress.turn()
        progress.turn()
        settle(DONE)
        clock[0] += MINUTE
        progress.turn()
        clock[0] += MINUTE
        progress.turn()
    first = {"done": 4, "retried": 2, "failed": 2, "lag": 7, "reasons": {"rate_limited": 2, "mapping": 2}}
    second = {"done": 2, "retried": 0, "failed": 0, "lag": 7}
    same = {"event": "events of the last minute", "log_level": "info"}
    assert lines == [first | same, second | same], "and none for a minute in which nothing was"


def test_an_outage_of_an_hour_costs_a_line_a_minute(
    clock: list[float], metrics: Metrics, settle: Settle
) -> None:
    health = Health(300, put_off=metrics.put_off)
    progress = ProgressLog(metrics, health)
    health.report("sink", None)
    with capture_logs() as lines:
        health.report("sink", "connect: refused")
        for _ in range(60 * 60):
            settle(AWAY)
            health.report("sink", "connect: refused")
            progress.turn()
            clock[0] += 1
        health.report("sink", None)
        clock[0] += RECOVERY_SECONDS["sink"]
        health.report("sink", None)
    said = [line["event"] for line in lines]
    assert said[:3] == ["the sink cannot be used", "events will be retried", "the sink still cannot be used"]
    assert set(said[3:-1]) == {"the sink still cannot be used"}
    assert len(said) <= 63
    assert lines[-1] == {
        "event": "the sink can be used again",
        "log_level": "info",
        "seconds": 3_600,
        "put_off": 7_200,
    }
    assert lines[2] == {
        "event": "the sink still cannot be used",
        "log_level": "warning",
        "seconds": 60,
        "problem": "connect: refused",
        "put_off": 122,
        "done": 0,
        "retried": 122,
        "failed": 0,
        "lag": 0,
        "reasons": {"connect": 122},
    }


def test_another_reason_is_news_and_so_is_an_old_one_after_a_quiet_minute(
    clock: list[float], settle: Settle
) -> None:
    with capture_logs() as lines:
        for finding in (AWAY, AWAY, BUSY, MAPPING, MAPPING, AWAY):
            settle(finding)
            clock[0] += 1
        clock[0] += 2 * MINUTE
        settle(AWAY)
    assert [[*line["reasons"]] for line in lines] == [["connect"], ["rate_limited"], ["mapping"], ["connect"]]
