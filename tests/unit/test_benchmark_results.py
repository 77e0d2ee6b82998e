"""The gate of the benchmarks: a loss is named, noise is none, what cannot be told is not called good."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
from benchmarks import check, report
from benchmarks.figure import BenchFigure
from benchmarks.report import BOUNDS, Bound, Section
from benchmarks.rig import Rig
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.errors import ExitCode

pytestmark = pytest.mark.no_servers
RATIO = st.floats(0.01, 100)
NEAR = st.lists(st.floats(0.97, 1.03), min_size=3, max_size=7)
MACHINE = {"cores": "2"}


def figure(values: list[float], *, at_least: bool = True, name: str = "E/B") -> BenchFigure:
    return BenchFigure(name, "", values, at_least=at_least)


@given(st.lists(RATIO, min_size=1, max_size=9), st.booleans())
def test_a_run_against_itself_has_lost_nothing(values: list[float], at_least: bool) -> None:
    same = figure(values, at_least=at_least)
    assert check.compare(same, same).verdict != "WORSE"


@given(RATIO, NEAR, NEAR, st.booleans())
def test_a_clear_loss_is_found_whatever_the_size_of_the_ratio(
    size: float, before: list[float], after: list[float], at_least: bool
) -> None:
    factor = 0.7 if at_least else 1.4
    then, now = [size * v for v in before], [size * factor * v for v in after]
    compared = check.compare(figure(then, at_least=at_least), figure(now, at_least=at_least))
    assert compared.verdict == "WORSE"
    assert check.exit_code([compared]) is ExitCode.FINDINGS


@given(RATIO, NEAR, NEAR, st.booleans())
def test_a_gain_passes(size: float, before: list[float], after: list[float], at_least: bool) -> None:
    factor = 1.5 if at_least else 0.6
    then, now = [size * v for v in before], [size * factor * v for v in after]
    compared = check.compare(figure(then, at_least=at_least), figure(now, at_least=at_least))
    assert compared.verdict == "ok"


def test_a_loss_within_the_spread_of_both_runs_is_noise() -> None:
    assert check.compare(figure([0.8, 0.9, 1.0]), figure([0.7, 0.75, 0.9])).verdict == "ok"
    assert check.compare(figure([0.9, 0.9, 0.9]), figure([0.75, 0.75, 0.75])).verdict == "WORSE"


def test_noise_in_which_a_loss_could_hide_is_not_called_good() -> None:
    compared = check.compare(figure([0.4, 0.9, 1.4]), figure([0.5, 0.9, 1.4]))
    assert compared.verdict == "too noisy"
    assert check.exit_code([compared]) is ExitCode.INCONCLUSIVE


def measured(monkeypatch: pytest.MonkeyPatch, *runs: list[float]) -> tuple[list[BenchFigure], int]:
    """What a check makes of these runs, against 0.9, and how often it measured."""
    left = list(runs)

    def measure(_rig: Rig, _size: int, _repeat: int) -> list[BenchFigure]:
        return [figure(left.pop(0)), figure([1.0], name="not compared")]

    monkeypatch.setattr(check, "measure", measure)
    then = {"E/B": figure([0.89, 0.9, 0.91])}
    now = check.measured(None, then, 600, Namespace(repeat=1))  # type: ignore[arg-type]
    return now, len(runs) - len(left)


def test_a_loss_is_measured_twice_before_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    worse, again = [0.6, 0.61, 0.62], [0.6, 0.6, 0.6]
    now, times = measured(monkeypatch, worse, again)
    assert times == 2
    assert now[0].values == [*worse, *again]
    assert check.judged({"E/B": figure([0.89, 0.9, 0.91])}, now) is ExitCode.FINDINGS


def test_a_bad_minute_alone_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    now, times = measured(monkeypatch, [0.6, 0.61, 0.62], [0.9, 0.91, 0.92])
    assert times == 2
    assert check.judged({"E/B": figure([0.89, 0.9, 0.91])}, now) is not ExitCode.FINDINGS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "HERE", tmp_path)
    return tmp_path


def write(title: str, *figures: BenchFigure, **flags: int) -> str:
    section = Section(title, "Something.", figures, "- As it is.\n")
    return report.write_section(section, flags, MACHINE)


def row(text: str, what: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {what}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.what)
def test_a_median_is_judged_by_its_own_bound(bound: Bound) -> None:
    much, little = ("met", "REGRESSION") if bound.at_least else ("REGRESSION", "met")
    for factor, verdict in ((1.5, much), (0.5, little)):
        figure = BenchFigure(bound.figure, "", [bound.limit * factor] * 3)
        shown = write(bound.section, figure)
        assert row(report.page(), bound.what)[4:] == [verdict, bound.section]
        assert row(shown, bound.figure)[4:] == [verdict]
        named = report.broken(Section(bound.section, "", [figure], ""))
        assert named == ([bound.figure] if verdict == "REGRESSION" else [])


def test_a_section_is_replaced_and_the_others_stay(here: Path) -> None:
    write("Verify", BenchFigure("in full", "s", [50.0]))
    write("Labs", BenchFigure("all", "s", [1.0]))
    write("Verify", BenchFigure("in full", "s", [70.0]))
    text = report.page()
    assert "70 s" in text
    assert "50 s" not in text
    assert text.count("\n## Verify\n") == text.count("\n## Labs\n") == 1
    assert list(json.loads((here / "RESULTS.json").read_text())["sections"]) == ["Verify", "Labs"]


def test_the_committed_files_are_as_a_benchmark_writes_them() -> None:
    stored = (report.HERE / "RESULTS.json").read_text()
    assert stored == report.stored_text(json.loads(stored)), "a benchmark writes it"
    assert (report.HERE / "RESULTS.md").read_text() == report.page()
