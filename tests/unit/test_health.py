"""Readiness says what is wrong now, not what was, and not that nothing happens when nothing is due."""

import json

import pytest
from structlog.testing import capture_logs

from outboxctl.worker.health import Health

pytestmark = pytest.mark.no_servers


def healthy(sla: float = 300) -> Health:
    health = Health(sla)
    health.report("database", None)
    health.report("sink", None)
    return health


def test_not_ready_before_the_first_look() -> None:
    assert set(Health(300).failing()) == {"database", "sink"}


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


def test_an_error_that_three_observers_see_is_said_once() -> None:
    health = healthy()
    for observer in ("probe", "lane", "maintenance"):
        health.report("database", "connection refused", observer=observer)
    health.report("sink", "connect: refused")
    health.report("sink", "circuit open: connect: refused", observer="lane")
    assert health.failing() == {"database": "connection refused", "sink": "circuit open: connect: refused"}


def test_the_last_success_is_one_that_there_was() -> None:
    health = healthy()
    health.progress(due=False)
    assert health.last_success_seconds() is None, "having nothing to do is no success"
    health.succeeded()
    age = health.last_success_seconds()
    assert age is not None
    assert 0 <= age < 60


def test_a_quiet_night_is_no_lack_of_progress() -> None:
    health = healthy(sla=0.0)
    health.progress(due=False)
    assert health.failing() == {}
    health.progress(due=True)
    assert list(health.failing()) == ["progress"]


def test_progress_is_a_success_or_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("outboxctl.worker.health.monotonic", lambda: now)
    health = healthy()
    now += 70
    assert health.progress_age() == 70
    health.idle()
    now += 5
    assert health.progress_age() == 5
    health.succeeded()
    now += 3
    assert (health.progress_age(), health.last_success_seconds()) == (3, 3)
    health.progress(due=False)
    assert health.progress_age() == 3, "between two attempts nothing is due, and events wait"


def test_draining_is_not_ready() -> None:
    health = healthy()
    health.drain()
    assert json.dumps(health.failing()) == '{"draining": "the worker is stopping"}'
