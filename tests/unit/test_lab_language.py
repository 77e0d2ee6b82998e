"""Whoever asks for Chinese gets Chinese: every heading, comment and label of every lab, in every form."""

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from drilled import record, run
from outboxctl.cli.app import app
from outboxctl.cli.lab import page
from outboxctl.cli.lab.progress import LabProgress
from outboxctl.cli.lab.screen import LabScreen
from outboxctl.cli.lab.summary import show
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status
from outboxctl.drills.labs import chinese
from outboxctl.drills.labs.catalogue import ALL, LABS
from outboxctl.drills.labs.drill import LabEvent
from outboxctl.drills.labs.evidence import load, pages
from outboxctl.drills.labs.model import LabPhase, LabVerdict, Need

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import Record

pytestmark = pytest.mark.no_servers
EXAMPLE = Path(__file__).parents[2] / "docs" / "labs" / "example"
EACH = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Names stay as they are: of products, signals, columns and statuses, and the lab document's own terms.
NAMES = {"ES", "DB", "SQL", "Elasticsearch", "PostgreSQL", "postgres", "Docker", "docker", "CONTAINER"}
NAMES |= {"worker", "workers", "sink", "bulk", "mapping", "op", "lease", "attempts", "max", "backoff", "id"}
NAMES |= {
    "claim",
    "reclaim",
    "replay",
    "rebuild",
    "dry-run",
    "upsert",
    "delete",
    "stuck",
    "inject",
    "kill",
    "retry",
}
NAMES |= {
    "pid",
    "psql",
    "ready",
    "s",
    "C",
    "Reclaimed",
    "SIGKILL",
    "SIGTERM",
    "error_reason",
    "Retry-After",
    "w1",
    "w2",
}
NAMES |= {str(each) for each in (*Status, *Reason, *LabVerdict)} | {lab.name for lab in LABS}


def strangers(text: str) -> set[str]:
    """English words that are no names."""
    return {word for word in WORD.findall(text) if word not in NAMES and not word.startswith("OUTBOX_")}


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


def test_what_got_worse_is_told_in_chinese() -> None:
    folder = str(EXAMPLE)
    said = CliRunner().invoke(app, ["lab", "report", "--lang", "zh", "--compare", folder, folder]).output
    assert strangers(said) == set()


def test_the_markdown_of_every_lab_is_chinese() -> None:
    lines = pages.markdown(load(EXAMPLE), "zh").replace("\\", "").splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#") or after.startswith("| ---") or line.startswith("    --"):
            assert not strangers(re.sub("快照 [ABC]|[ABC]\\)|processed_at|status", "", line)), line
        assert not re.match(r"- [0-9.]+ (fault|undone)", line), line
        label = re.match(r"- ([^:0-9]+): ", line)
        assert label is None or "_" in label[1] or CHINESE.search(label[1]), line


def test_the_page_of_every_lab_is_chinese() -> None:
    report = load(EXAMPLE)
    own = {f"{lab.title.zh} {lab.record.verdict}" for lab in report.labs}
    own |= {field.name.zh for lab in report.labs for field in lab.record.conclusion}
    html = pages.html(report, EXAMPLE)
    labels = set(Labels.of(html))
    for chinese_ in ("故障：对 worker w1 发 SIGKILL", "# stuck 大于 0 后按 ^C", "-- C) 最老的 pending"):
        assert chinese_ in html
    assert len(labels) > 50
    assert {label: found for label in labels if (found := strangers(label)) and label not in own} == {}


class Labels(HTMLParser):
    """The headings, column heads, terms and captions of a page whose English is switched off."""

    TAGS = frozenset({"h1", "h2", "h3", "th", "dt", "summary", "figcaption"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @classmethod
    def of(cls, html: str) -> Iterator[str]:
        parser = cls()
        parser.feed(html)
        return (text for text in parser.found if text.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TAGS:
            self.found.append("")
        if tag in self.TAGS | {"span"}:
            self._open.append((tag, ("lang", "en") in attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.TAGS | {"span"}:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if any(tag in self.TAGS for tag, _ in self._open) and not any(en for _, en in self._open):
            self.found[-1] += data
