"""How an experiment is made: every fault undone, no wait without an end."""

from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.labs import CHECK, RECOVER, Lab, LabContext, Steps
from outboxctl.drills.labs.context import Experiment, FaultNotConfirmed, RunStopped
from outboxctl.drills.labs.model import LabPhase, LabVerdict, Record
from outboxctl.drills.labs.run import play

SEEN = "it is broken"
pytestmark = pytest.mark.no_servers


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


class Ended(Lab):
    """An order to end comes while it waits for the backlog to go."""

    name = "ended"

    def prepare(self, ctx: Any) -> None:
        pass

    def experiment(self, ctx: Any) -> Steps:
        yield RECOVER
        raise RunStopped
        yield CHECK
        ctx.note("events done", "300", "274", LabVerdict.FAIL)


class Stage(SimpleNamespace):
    """What a drill asks of a scene, without servers."""

    now, phase, note = 0.0, LabPhase.PREPARE, LabContext.note

    def undo(self) -> None:
        pass

    def snapshot(self, label: str) -> None:
        pass

    def expect_steady(self, events: int) -> None:
        pass

    def counts(self) -> None:
        raise UnreachableError("no database")


def test_one_that_is_ended_has_not_refuted_what_there_was_no_time_for() -> None:
    ctx: Any = Stage(record=Record("ended", ""), stop=Event())
    play(Ended(), ctx)
    record = ctx.record
    assert (record.verdict, record.interrupted) == (LabVerdict.INCONCLUSIVE, LabPhase.RECOVER)
    assert record.checks == []
