"""Whoever asks for Chinese gets Chinese: every heading, comment and label of every lab, in every form."""

import io
import re
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from drilled import evidence, record, run
from english import CHINESE, strangers
from outboxctl.cli.app import app
from outboxctl.cli.lab import page
from outboxctl.cli.lab.progress import LabProgress
from outboxctl.cli.lab.screen import LabScreen
from outboxctl.cli.lab.summary import show
from outboxctl.drills.labs import chinese
from outboxctl.drills.labs.catalogue import ALL, LABS
from outboxctl.drills.labs.drill import LabEvent
from outboxctl.drills.labs.model import LabPhase, LabVerdict, Need

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import Record

pytestmark = pytest.mark.no_servers
EACH = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])


@EACH
def test_its_page_in_chinese_is_chinese(lab: "type[Lab]") -> None:
    """Its headings, what it does, and the comments of its commands stayed English."""
    lines = CliRunner().invoke(app, ["lab", "show", lab.name, "--lang", "zh"]).output.splitlines()
    headings = [line for before, line in zip(["", *lines], lines, strict=False) if line and not before]
    assert all(CHINESE.search(line) for line in headings[1:]), headings
    commands = lines.index("手工操作")
    does = lines[lines.index("依赖" if lab.needs | lab.wants else "过程") : commands]
    assert not [line for line in does if strangers(line) and "export" not in line]
    comments = [match[1] for line in lines[commands:] if (match := chinese.COMMENT.search(line))]
    assert not [each for each in comments if strangers(each)]


def test_everything_that_labs_say_in_one_line_has_its_chinese_and_nothing_else_has() -> None:
    commands = [*page.BEFORE, *(line for lab in LABS for line in lab.by_hand)]
    assert {text for lab in LABS for text in page.phases(lab).values()} == set(chinese.PHASES)
    comments = [found[1] for line in commands if (found := chinese.COMMENT.search(line))]
    assert set(comments) == set(chinese.COMMENTS)
    assert {str(need) for need in Need} == set(chinese.NEEDS)
    source = "".join(path.read_text() for path in Path(chinese.__file__).parent.rglob("*.py"))
    rest = source.replace(Path(chinese.__file__).read_text(), "")
    assert [text for text in chinese.FAULTS if text not in rest] == []


def _records(verdict: LabVerdict) -> "list[Record]":
    return [record(lab.name, verdict, text="5") for lab in LABS]


@pytest.mark.parametrize("verdict", LabVerdict)
@pytest.mark.parametrize("faults", [True, False])
def test_the_end_of_a_run_in_chinese_is_chinese(tmp_path: Path, verdict: LabVerdict, faults: bool) -> None:
    (tmp_path / "report.html").touch()
    out = io.StringIO()
    show(run(_records(verdict), faults=faults), tmp_path, "zh", Console(file=out, width=100))
    said = re.sub(r"outboxctl lab .*|/report.html", "", out.getvalue().replace(str(tmp_path), ""))
    assert strangers(said) == set()
    assert "判定：" in said


def test_a_run_that_goes_on_in_chinese_is_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    for width in (60, 120):
        out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        screen = LabScreen(LabProgress(ALL[:3], 2), out, Event(), "zh")
        screen.update(LabEvent(ALL[0], record(ALL[0].name), LabPhase.OBSERVE))
        with out.capture() as drawn:
            out.print(screen._drawn())
        assert strangers(drawn.get()) == set()
    ended = record(ALL[0].name)
    still = LabScreen(LabProgress(ALL[:1], 1), Console(file=io.StringIO()), Event(), "zh")
    still.update(LabEvent(ALL[0], ended, LabPhase.PREPARE))
    still.update(LabEvent(ALL[0], ended, None))
    assert strangers(capsys.readouterr().err) == set()


def test_what_got_worse_is_told_in_chinese(tmp_path: Path) -> None:
    folders = [str(evidence(tmp_path / name, *_records(LabVerdict.OK))) for name in ("before", "after")]
    said = CliRunner().invoke(app, ["lab", "report", "--lang", "zh", "--compare", *folders]).output
    assert strangers(said.replace(str(tmp_path), "")) == set()
