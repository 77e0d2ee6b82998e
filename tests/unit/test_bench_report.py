"""RESULTS.json and its page: every target has a row, measured or not, and no section undoes another."""

import json
from pathlib import Path

import pytest
from benchmarks import report
from benchmarks.figure import BenchFigure
from benchmarks.report import TARGETS, Section, Target

pytestmark = pytest.mark.no_servers
MACHINE = {"cores": "2"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "HERE", tmp_path)
    return tmp_path


def write(title: str, *figures: BenchFigure, **flags: int) -> str:
    section = Section(title, "Something.", figures, "- As it is.\n")
    return report.write_section(section, flags, MACHINE, keep=True)


def row(text: str, what: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {what}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.what)
def test_a_measured_target_is_judged_by_its_own_bound(target: Target) -> None:
    much, little = ("met", "MISSED") if target.at_least else ("MISSED", "met")
    for factor, verdict in ((1.5, much), (0.5, little)):
        figure = BenchFigure(target.figure, "", [target.bound * factor] * 3, digits=2)
        write(target.section, figure)
        text = report.page()
        assert row(text, target.what)[4:] == [verdict, target.section]
        stored = report.figures(report.read()["sections"][target.section])[0]
        assert stored.verdict == verdict


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
