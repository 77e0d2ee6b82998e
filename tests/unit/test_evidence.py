"""The evidence of a run: whole, safe to show, and there even if the run was killed."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tools.reference import pages

from drilled import evidence, record
from outboxctl.domain.errors import UsageError
from outboxctl.drills.labs.evidence import EvidenceFolder, load
from outboxctl.drills.labs.model import LabPhase, LabVerdict, RunState

pytestmark = pytest.mark.no_servers
SECRET = "sesame"
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=y> \x1b[31m \x00 \ud800 \ufffe [bold](x) ``` | "
    f"postgresql://u:{SECRET}@h/db {'a.' * 1_500_000}"
)


def suite(folder: Path) -> ET.Element:
    found = ET.parse(folder / "junit.xml").find("testsuite")  # noqa: S314 - our own file
    assert found is not None
    return found


class Tags(HTMLParser):
    """The elements of a page, and what they would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)


class Text(HTMLParser):
    """The text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_hostile_text_reaches_nobody(tmp_path: Path) -> None:
    told = record(verdict=LabVerdict.FAIL, text=HOSTILE, logs=["worker-w1.log"])
    (tmp_path / "run" / "bad-op").mkdir(parents=True)
    (tmp_path / "run" / "bad-op" / "worker-w1.log").write_text(HOSTILE, errors="backslashreplace")
    folder = evidence(tmp_path / "run", told)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path, content in files.items():
        assert SECRET.encode() not in content, path
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", content), path
        assert len(content) < 4_000_000 if path.suffix == ".log" else 2_500_000, path
    assert len(files[folder / "report.html"]) < 200_000
    tags = Tags((folder / "report.html").read_text())
    assert not {"script", "img", "link", "iframe", "object"} & tags.names
    assert not {name for name in tags.attributes if name.startswith("on") or name in {"src", "srcset"}}
    (failure,) = suite(folder).iter("failure")
    assert "<script>" in failure.attrib["message"]


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = (evidence(tmp_path / "run", record()) / "report.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_report_is_what_its_schema_says(tmp_path: Path) -> None:
    folder = evidence(
        tmp_path / "run",
        record(),
        record("kill-and-heal", LabVerdict.INCONCLUSIVE, interrupted=LabPhase.INJECT),
    )
    from jsonschema import Draft202012Validator  # it takes seconds to load

    schema = json.loads(pages()["reference/lab-report.schema.json"])
    Draft202012Validator.check_schema(schema)
    seen = json.loads((folder / "report.json").read_text())
    Draft202012Validator(schema).validate(seen)
    assert seen["records"][0]["settings"]["OUTBOX_LEASE_SECONDS"] == "10"
    assert seen["records"][0]["snapshots"][0]["metrics"] == {"w1": ["outbox_lag_events 1.0 # seen"]}
    assert {"python", "outboxctl", "urllib3", "search"} <= set(seen["versions"])


PAGES = {
    "en": (
        "Lab report: FAIL",
        "their reason: x",
        "Why: the backlog is gone: expected x",
        "Checks",
        "fault: x",
    ),
    "zh": ("实验报告: FAIL", "error_reason: x", "原因: 积压归零：预期 x，实际 x", "故障: x"),
}


@pytest.mark.parametrize("language", PAGES)
def test_the_page_tells_verdict_checks_conclusion_timeline_and_charts(tmp_path: Path, language: str) -> None:
    folder = evidence(tmp_path / "run", record(verdict=LabVerdict.FAIL, text="x"), language=language)
    shown = (folder / "report.html").read_text()
    told = " ".join(Text(shown).words.split())
    assert [text for text in PAGES[language] if text not in told] == []
    assert "2.500 x" in told
    assert "<polygon" in shown


def test_ci_sees_fail_as_failure_inconclusive_as_skipped_and_an_interrupted_lab_as_error(
    tmp_path: Path,
) -> None:
    interrupted = record("kill-and-heal", LabVerdict.INCONCLUSIVE, interrupted=LabPhase.INJECT)
    labs = [record(verdict=LabVerdict.INCONCLUSIVE), interrupted]
    seen = suite(evidence(tmp_path / "run", *labs))
    assert [seen.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["2", "0", "1", "1"]
    seen = suite(evidence(tmp_path / "bad", record(verdict=LabVerdict.FAIL)))
    assert [seen.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["1", "1", "0", "0"]


def test_a_killed_run_says_so_and_keeps_what_had_ended(tmp_path: Path) -> None:
    path = tmp_path / "run"
    folder = EvidenceFolder(path)
    folder.begin(["bad-op", "kill-and-heal"])
    folder.add(record())
    report = load(path)
    assert (report.state, report.verdict) == (RunState.RUNNING, LabVerdict.INCONCLUSIVE)
    assert [lab.verdict for lab in report.records] == [LabVerdict.OK, LabVerdict.INCONCLUSIVE]
    assert "it is under way, or it was killed" in (path / "report.html").read_text()
    assert suite(path).get("errors") == "1"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write evidence to .*file/run: Not a directory"):
        EvidenceFolder(tmp_path / "file" / "run").begin(["bad-op"])
