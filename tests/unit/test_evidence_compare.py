"""What got worse between two runs: more than noise, and never a change in both directions."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from drilled import record, run
from outboxctl.cli.app import app
from outboxctl.domain.errors import UsageError
from outboxctl.drills.labs.evidence import EvidenceFolder
from outboxctl.drills.labs.evidence.compare import compare
from outboxctl.drills.labs.evidence.lab_report import reported
from outboxctl.drills.labs.evidence.model import VERSION, Figures, LabReport, RunReport, RunState
from outboxctl.drills.labs.model import LabVerdict

pytestmark = pytest.mark.no_servers
BASE = Figures(2.0, 400, 5.0, 600, 200.0)
LAB = reported(record())
seconds = st.none() | st.floats(0, 100)
whole = st.none() | st.integers(0, 10_000)
figures = st.builds(Figures, seconds, whole, seconds, whole, seconds)


def report(*labs: LabReport, faults: bool = True) -> RunReport:
    return RunReport(
        VERSION, RunState.FINISHED, "then", 1.0, LabVerdict.OK, faults, {"python": "3"}, list(labs)
    )


def lab(seen: Figures = BASE, verdict: LabVerdict = LabVerdict.OK, name: str = "bad-op") -> LabReport:
    return replace(LAB, name=name, figures=seen, record=replace(LAB.record, verdict=verdict))


@pytest.mark.parametrize(
    ("new", "worse"),
    [
        (replace(BASE, recovery_seconds=2.6), {"recovery_seconds": True}),
        (replace(BASE, recovery_seconds=2.45), {}),
        (replace(BASE, recovery_seconds=1.4), {"recovery_seconds": False}),
        (replace(BASE, peak_lag=481), {"peak_lag": True}),
        (replace(BASE, peak_lag=479), {}),
        (replace(BASE, oldest_age_seconds=6.1), {"oldest_age_seconds": True}),
        (replace(BASE, attempts=721), {"attempts": True}),
        (replace(BASE, throughput=150.0), {"throughput": True}),
        (replace(BASE, throughput=250.0), {"throughput": False}),
        (replace(BASE, throughput=None), {}),
    ],
)
def test_what_is_more_than_noise(new: Figures, worse: dict[str, bool]) -> None:
    found = compare(report(lab()), report(lab(new)))
    assert {change.what: change.worse for change in found.changes} == worse
    assert found.worse is (True in worse.values())


@given(figures, figures, st.sampled_from(LabVerdict), st.sampled_from(LabVerdict))
def test_what_is_worse_one_way_is_better_the_other(
    one: Figures, other: Figures, first: LabVerdict, second: LabVerdict
) -> None:
    there = compare(report(lab(one, first)), report(lab(other, second)))
    back = compare(report(lab(other, second)), report(lab(one, first)))
    assert [(c.what, c.old, c.new, c.worse) for c in there.changes] == [
        (c.what, c.new, c.old, not c.worse) for c in back.changes
    ]
    assert not compare(report(lab(one, first)), report(lab(one, first))).changes


def test_labs_of_one_run_alone_are_named_and_control_runs_are_not_compared() -> None:
    found = compare(report(lab(), lab(name="old")), report(lab(), lab(name="new")))
    assert (found.compared, found.gone, found.added, found.worse) == (1, ["old"], ["new"], False)
    with pytest.raises(UsageError, match="control run"):
        compare(report(lab()), report(lab(), faults=False))


def test_the_command_exits_as_what_it_shows(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for path, verdict in ((good, LabVerdict.OK), (bad, LabVerdict.FAIL)):
        folder = EvidenceFolder(path)
        folder.begin(["bad-op"])
        folder.add(record(verdict=verdict, text="\x1b[31mred"))
        folder.finish(run([record(verdict=verdict, text="\x1b[31mred")]))
    shown = CliRunner().invoke(app, ["lab", "report", str(bad)])
    assert shown.exit_code == 4
    assert "\x1b[31mred" not in shown.output
    assert r"\x1b[31mred" in shown.output
    compared = CliRunner().invoke(app, ["lab", "report", "--compare", str(good), str(bad)])
    assert compared.exit_code == 4
    assert "1 lab compared: something got worse." in compared.output
    back = CliRunner().invoke(app, ["lab", "report", "--compare", str(bad), str(good)])
    assert back.exit_code == 0
