"""Readiness says what is wrong now; a worker logs what it does once a minute, and the same trouble once."""

from collections.abc import Callable
from random import Random

import pytest
from structlog.testing import capture_logs

from outboxctl.core.database_errors import public_cause
from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict
from outboxctl.metrics.registry import Metrics
from outboxctl.worker import health as health_module
from outboxctl.worker import reports as progress_log
from outboxctl.worker.health import PATIENCE, RECOVERY_SECONDS, Health, Problem
from outboxctl.worker.reports import MINUTE, ProgressLog, Repeats
from outboxctl.worker.settling.outcome import RetryPolicy, decide
from outboxctl.worker.settling.tally import settled

pytestmark = pytest.mark.no_servers


def healthy(sla: float = 300) -> Health:
    health = Health(sla)
    health.report("database", None)
    health.report("sink", None)
    return health


def test_two_observers_must_both_see_it_well() -> None:
    health = healthy()
    with capture_logs() as logs:
        health.report("database", "gone", observer="lane")
        health.report("database", None)
        assert health.failing() == {"database": "gone"}
        health.report("database", "read-only")
        assert health.failing() == {"database": "gone; read-only"}
        health.report("database", None)
        health.report("database", None, observer="lane")
    assert health.failing() == {}
    assert [line["event"] for line in logs] == [
        "the database cannot be used",
        "the database can be used again",
    ]


def test_a_quiet_night_is_no_lack_of_progress() -> None:
    health = healthy(sla=0.0)
    health.progress(due=False)
    assert health.failing() == {}
    health.progress(due=True)
    assert list(health.failing()) == ["progress"]


def test_an_outage_is_as_long_as_the_time_without_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """It said 104 s after an outage of 404 s: it had counted from the end of the SLA."""
    now = [1_000.0]
    monkeypatch.setattr("outboxctl.worker.health.monotonic", lambda: now[0])
    health = healthy(sla=300.0)
    health.succeeded()
    with capture_logs() as logs:
        for _ in range(404):
            now[0] += 1
            health.progress(due=True)
        health.succeeded()
        health.progress(due=True)
    assert [line["event"] for line in logs] == ["no event succeeds", "events succeed again"]
    assert logs[-1]["seconds"] == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('FATAL:  too many connections for role "u"', "too many connections"),
        ('FATAL:  password authentication failed for user "timeout"', "the login was refused"),
        ('FATAL:  role "nobody" does not exist', "the login was refused"),
        ('FATAL:  database "password" does not exist', "there is no such database"),
        ('connection to server at "h", port 1 failed: Connection refused', "connection refused"),
        ("FATAL:  the database system is starting up", "the server starts"),
        ("connection timeout expired", "no answer in time"),
        ("server closed the connection unexpectedly", "the connection was closed"),
        ("a text of an enemy's own", "it cannot be used"),
    ],
)
def test_the_probes_say_why_the_database_is_away_in_our_own_words(text: str, said: str) -> None:
    assert public_cause(text).startswith(said)


def test_the_probes_show_what_is_public_and_the_log_the_whole() -> None:
    health = healthy()
    with capture_logs() as logs:
        health.report("sink", Problem("auth: 401 what the sink said", "auth: the sink refuses the login"))
    assert health.failing() == {"sink": "auth: the sink refuses the login"}
    assert logs[0]["problem"] == health.outage("sink")["problem"] == "auth: 401 what the sink said"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of both."""
    now = [1_000.0]
    for module in (progress_log, health_module):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_a_sink_of_which_one_node_fails_is_said_once_to_be_ill_and_once_to_be_well(
    clock: list[float],
) -> None:
    health, flips = healthy(), 0
    with capture_logs() as logs:
        for turn in range(240):  # two minutes of probes, of which each third one fails
            was = health.failing() == {}
            health.report("sink", "connect: no connection to the sink" if turn % 3 == 0 else None)
            flips += was != (health.failing() == {})
            clock[0] += 0.5
        health.report("sink", None)
        assert health.failing()["sink"].startswith("connect: no connection to the sink; not seen for 1.0 s")
        clock[0] += RECOVERY_SECONDS["sink"]
        health.report("sink", None)
    assert health.failing() == {}
    assert flips == 1
    assert [line["event"] for line in logs] == ["the sink cannot be used", "the sink can be used again"]
    assert logs[-1]["seconds"] == 119.0, "until it was well, not until that was certain"


def test_a_sink_that_answers_late_does_not_alternate(clock: list[float]) -> None:
    health = healthy()
    for _ in range(10):
        with health.waiting_for("sink"):
            clock[0] += PATIENCE + 0.2
            assert health.failing() == {"sink": "no answer for 1.2 s"}
        clock[0] += 0.5
        assert health.failing() == {"sink": "no answer for 1.2 s"}
    clock[0] += RECOVERY_SECONDS["sink"]
    assert health.failing() == {}


def test_a_late_look_is_nothing_while_deliveries_are_taken(clock: list[float]) -> None:
    health = healthy()
    with health.waiting_for("sink"):
        clock[0] += PATIENCE + 0.2
        health.taken_at = clock[0] - 0.1
        assert health.failing() == {}


Settle = Callable[[Classification], None]
POLICY = RetryPolicy(max_attempts=3, base=0.5, cap=30)
AWAY = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
BUSY = Classification(Verdict.RETRY, Reason.RATE_LIMITED, error="429")
MAPPING = Classification(Verdict.FAIL, Reason.MAPPING, error="400 mapping")


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
    health = Health(300)
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
    }
    assert lines[2] == {
        "event": "the sink still cannot be used",
        "log_level": "warning",
        "seconds": 60,
        "problem": "connect: refused",
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
