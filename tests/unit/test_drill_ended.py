"""A lab that is ended from outside has not refuted what there was no time left to see."""

from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from outboxctl.errors import UnreachableError
from outboxctl.labs.drill import Drill
from outboxctl.labs.experiment import Stopped
from outboxctl.labs.lab import Lab
from outboxctl.labs.model import Phase, Record, Verdict, Words
from outboxctl.labs.scene import Scene

pytestmark = pytest.mark.no_servers


class Ended(Lab):
    """An order to end comes while it waits for the backlog to go."""

    name = "ended"

    def prepare(self, scene: Any) -> None:
        pass

    steady = inject = observe = undo = prepare

    def recover(self, scene: Any) -> None:  # noqa: ARG002 - called as a Lab
        raise Stopped

    def check(self, scene: Any) -> None:
        scene.note(Words("events done", "done"), "300", "274", Verdict.FAIL)


class Stage(SimpleNamespace):
    """What a drill asks of a scene, without servers."""

    now, phase, note = 0.0, Phase.PREPARE, Scene.note

    def snapshot(self, label: str) -> None:
        pass

    def look(self) -> None:
        raise UnreachableError("no database")


def test_it_is_inconclusive() -> None:
    scene: Any = Stage(record=Record("ended", ""), stop=Event())
    Drill(Ended(), scene, lambda _: None).play()
    record = scene.record
    assert (record.verdict, record.interrupted) == (Verdict.INCONCLUSIVE, Phase.RECOVER)
    assert record.checks == []
