"""How an experiment is made: every fault undone, no wait without an end."""

from threading import Event
from time import monotonic

import pytest

from outboxctl.drills.labs.experiment import Experiment, FaultNotConfirmed, RunStopped
from outboxctl.drills.labs.model import LabVerdict, Record

SEEN = "it is broken"


def experiment(stop: Event | None = None) -> Experiment:
    return Experiment(Record("bad-op", ""), stop=stop or Event())


def test_each_fault_is_undone_though_another_cannot_be_and_that_is_said() -> None:
    made, undone = experiment(), []
    made.fault("first", lambda: None, lambda: undone.append("first"))
    made.fault("second", lambda: None, lambda: 1 // 0)
    made.fault("third", lambda: None, lambda: undone.append("third"))
    made.undo()
    assert undone == ["third", "first"]
    assert [(check.name, check.verdict) for check in made.record.checks] == [
        ("undone: second", LabVerdict.INCONCLUSIVE)
    ]
    assert all(window.ended is not None for window in made.record.windows)
    made.undo()
    assert undone == ["third", "first"]


def test_a_fault_that_breaks_down_halfway_is_undone_too() -> None:
    made, undone = experiment(), []
    with pytest.raises(ZeroDivisionError):
        made.fault("half", lambda: 1 // 0, lambda: undone.append("half"))
    made.undo()
    assert undone == ["half"]


def test_a_fault_without_effect_teaches_nothing() -> None:
    made = experiment()
    with pytest.raises(FaultNotConfirmed):
        made.confirm(SEEN, lambda: False, within=0)
    assert [check.verdict for check in made.record.checks] == [LabVerdict.INCONCLUSIVE]


def test_what_cannot_come_any_more_is_not_waited_for() -> None:
    made, began = experiment(), monotonic()
    assert made.expect_soon(SEEN, lambda: False, within=60, unless=lambda: True) is False
    assert monotonic() - began < 30
    assert [check.verdict for check in made.record.checks] == [LabVerdict.FAIL]


def test_a_stop_ends_every_wait() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(RunStopped):
        experiment(stop).wait(lambda: False, within=60)


def test_values_are_said_as_a_person_says_them() -> None:
    made = experiment()
    for expected, seen in ((None, None), (1.0, 1.0), (0.5, True), ([], False), ([1], "x")):
        made.expect(SEEN, expected, seen)
    said = [(check.expected, check.seen) for check in made.record.checks]
    assert said == [("none", "none"), ("1", "1"), ("0.5", "yes"), ("none", "no"), ("[1]", "x")]
