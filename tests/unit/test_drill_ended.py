"""What a lab that was ended, or could not be watched, or could not begin, says of itself."""

from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.drill import Drill
from outboxctl.drills.labs.experiment import RunStopped
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import LabPhase, LabVerdict, Record

pytestmark = pytest.mark.no_servers


class Ended(Lab):
    """An order to end comes while it waits for the backlog to go."""

    name = "ended"

    def prepare(self, ctx: Any) -> None:
        pass

    steady = inject = observe = undo = prepare

    def recover(self, ctx: Any) -> None:  # noqa: ARG002 - called as a Lab
        raise RunStopped

    def check(self, ctx: Any) -> None:
        ctx.note("events done", "300", "274", LabVerdict.FAIL)


class Stage(SimpleNamespace):
    """What a drill asks of a scene, without servers."""

    now, phase, note = 0.0, LabPhase.PREPARE, LabContext.note

    def snapshot(self, label: str) -> None:
        pass

    def counts(self) -> None:
        raise UnreachableError("no database")


def test_one_that_is_ended_has_not_refuted_what_there_was_no_time_for() -> None:
    ctx: Any = Stage(record=Record("ended", ""), stop=Event())
    Drill(Ended(), ctx).play()
    record = ctx.record
    assert (record.verdict, record.interrupted) == (LabVerdict.INCONCLUSIVE, LabPhase.RECOVER)
    assert record.checks == []
