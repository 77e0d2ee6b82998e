"""Every lab can fail, and can learn nothing: shown lab by lab, on runs of all labs."""

from collections.abc import Callable

import pytest

from drills.labs.breakages import breakages_by_lab
from drills.labs.runs import LONGEST_SECONDS, Outcome
from outboxctl.drills.labs.catalogue import ALL

pytestmark = [pytest.mark.real_engine, pytest.mark.timeout(LONGEST_SECONDS)]
every_lab = pytest.mark.parametrize("lab", [lab.name for lab in ALL])
Made = Callable[[str], Outcome]


@every_lab
def test_with_our_worker_it_is_ok(made: Made, lab: str) -> None:
    assert made("ok").records[lab]["verdict"] == "OK", made("ok").about(lab)


@every_lab
def test_a_fault_that_does_not_take_hold_teaches_nothing(made: Made, lab: str) -> None:
    control = made("control")
    assert control.records[lab]["verdict"] == "INCONCLUSIVE", control.about(lab)
    assert control.code == 5


@every_lab
def test_a_worker_that_is_broken_on_purpose_fails(made: Made, lab: str) -> None:
    assert lab in breakages_by_lab(), "write its breakage: tests/drills/labs/breakages"
    broken = made("broken")
    assert broken.records[lab]["verdict"] == "FAIL", broken.about(lab)
    assert broken.code == 4
