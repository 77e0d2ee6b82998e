"""How an experiment is made: every fault undone, no wait without an end."""

from threading import Event

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


def test_a_stop_ends_every_wait() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(RunStopped):
        experiment(stop).wait(lambda: False, within=60)
