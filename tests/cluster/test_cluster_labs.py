"""`lab run cluster`: OK with our worker on each engine, INCONCLUSIVE without a fault, FAIL with a broken one.

A run of all of them takes some ten minutes; the last two are the same on every engine, and run on one.
"""

from collections.abc import Callable

import pytest

from cluster.conftest import KIND
from drills.labs.breakages import breakages_by_lab
from drills.labs.runs import LONGEST_ON_A_CLUSTER, Outcome, outcome_on_a_cluster
from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.labs.catalogue import CLUSTER
from outboxctl.drills.services import search
from outboxctl.drills.services.model import silent

pytestmark = pytest.mark.timeout(LONGEST_ON_A_CLUSTER)
every_lab = pytest.mark.parametrize("lab", [lab.name for lab in CLUSTER])
Made = Callable[[str], Outcome]


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The outcome of a run of all labs of a cluster, by its kind."""
    try:
        search.parts(KIND, silent)
    except UnreachableError as error:
        pytest.skip(f"no cluster of {KIND} without Maven and a JDK: {error}")
    return lambda kind: outcome_on_a_cluster(kind, KIND, tmp_path_factory.getbasetemp())


@every_lab
def test_with_our_worker_it_is_ok(made: Made, lab: str) -> None:
    assert made("ok").records[lab]["verdict"] == "OK", made("ok").about(lab)


if KIND == "opensearch":  # not skipped on the others: a skipped test is a hole there

    @every_lab
    def test_a_fault_that_does_not_take_hold_teaches_nothing(made: Made, lab: str) -> None:
        control = made("control")
        assert control.records[lab]["verdict"] == "INCONCLUSIVE", control.about(lab)

    @every_lab
    def test_a_worker_that_is_broken_on_purpose_fails(made: Made, lab: str) -> None:
        assert lab in breakages_by_lab(), "write its breakage: tests/drills/labs/breakages"
        broken = made("broken")
        assert broken.records[lab]["verdict"] == "FAIL", broken.about(lab)
