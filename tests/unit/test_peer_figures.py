import pytest
from benchmarks.peers.measured import Measured
from benchmarks.peers.own import Burst
from benchmarks.peers.pgsync import FirstSync
from benchmarks.peers.writer import Stream

pytestmark = pytest.mark.no_servers


def test_the_ratio_is_of_each_repetition_and_has_the_target_of_issue_7() -> None:
    measured = Measured(
        burst=[Burst(30, 60, 9), Burst(20, 40, 9), Burst(50, 100, 9)],
        first=[FirstSync(1, 10, 12, 150), FirstSync(1, 10, 10, 150), FirstSync(1, 10, 10, 150)],
        others=[0, 0, 0],
    )
    figures = {figure.name: figure for figure in measured.figures()}
    assert figures["outboxctl/pgsync, from exec"].values == [3, 2, 5]
    assert figures["outboxctl/pgsync, running"].values == [5, 4, 10]
    assert figures["outboxctl/pgsync, from exec"].verdict == "met"


def test_a_lag_of_a_second_misses_its_target() -> None:
    measured = Measured(stream=[Stream(9_000, 8_000, 1.0, {"own": 8})])
    (lag,) = (figure for figure in measured.figures() if figure.name == "outboxctl: lag")
    assert lag.verdict == "MISSED"


@pytest.mark.parametrize("of", ["pgsync", "Redis"])
def test_a_peer_that_was_not_measured_has_no_figure(of: str) -> None:
    measured = Measured(burst=[Burst(30, 60, 9)], others=[0])
    assert not [figure.name for figure in measured.figures() if of in figure.name]
