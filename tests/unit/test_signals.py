"""A step that must not end halfway is complete before a signal is handled, whenever the signal arrives."""

import os
import signal
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from outboxctl.drills.signals import undisturbed

ROUNDS = 60
STEP_SECONDS = 0.002


class EndedError(BaseException):
    """What a command's handler raises."""


@pytest.fixture(autouse=True)
def _raising() -> Iterator[None]:
    def end(*_: object) -> None:
        raise EndedError

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


def after(seconds: float) -> Thread:
    def send() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    return Thread(target=send)


def test_a_step_that_began_is_complete_when_the_signal_is_handled() -> None:
    halfway = 0
    for number in range(ROUNDS):
        steps: list[str] = []

        def work(steps: list[str] = steps) -> None:
            steps.append("begun")
            time.sleep(STEP_SECONDS)
            steps.append("complete")

        sender = after(STEP_SECONDS * number / ROUNDS)
        with pytest.raises(EndedError):  # noqa: PT012 - the signal may arrive at any of these
            sender.start()
            undisturbed(work)
            sender.join()
        halfway += steps == ["begun"]
    assert halfway == 0
