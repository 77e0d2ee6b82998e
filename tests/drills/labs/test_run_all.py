"""`lab run all`, twice in a row, on the real engine and on the imitation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drills.labs.runs import LONGEST_SECONDS, Outcome
from outboxctl.drills.labs.catalogue import ALL
from outboxctl.drills.labs.model import Need

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)
NEED_A_REAL_ONE = {lab.name for lab in ALL if Need.REAL_ENGINE in lab.needs}
Made = Callable[[str], Outcome]


@pytest.mark.real_engine
@pytest.mark.parametrize("kind", ["ok", "ok again"])
def test_all_are_ok_on_the_real_engine(made: Made, kind: str) -> None:
    run = made(kind)
    assert {lab: run.about(lab) for lab, record in run.records.items() if record["verdict"] != "OK"} == {}
    assert run.code == 0
    assert (Path(run.evidence) / "report.html").exists()


@pytest.mark.parametrize("kind", ["imitation", "imitation again"])
def test_on_the_imitation_labs_that_need_a_real_one_say_so_and_all_others_are_ok(
    made: Made, kind: str
) -> None:
    run = made(kind)
    verdicts = {lab: record["verdict"] for lab, record in run.records.items()}
    others = {lab: verdict for lab, verdict in verdicts.items() if lab not in NEED_A_REAL_ONE}
    assert {lab: run.about(lab) for lab, verdict in others.items() if verdict != "OK"} == {}
    for lab in NEED_A_REAL_ONE:
        assert verdicts[lab] == "INCONCLUSIVE"
        assert Need.REAL_ENGINE in run.records[lab]["why"]
    assert run.code == 5
