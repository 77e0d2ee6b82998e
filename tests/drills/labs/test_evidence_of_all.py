"""What a real run of all labs leaves: as its schema says, and in Chinese for whoever asks for Chinese."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tools.reference import pages as reference

from docs.test_zh import part
from drills.labs.runs import LONGEST_SECONDS, Outcome
from english import CHINESE, Labels, strangers
from outboxctl.drills.labs.catalogue import CORE
from outboxctl.drills.labs.evidence import load
from outboxctl.drills.labs.lab import Lab

pytestmark = [pytest.mark.timeout(LONGEST_SECONDS), pytest.mark.real_engine]


@pytest.fixture
def folder(made: Callable[[str], Outcome]) -> Path:
    """The evidence of a run on a real engine."""
    return Path(made("ok").evidence)


def test_the_report_is_what_its_schema_says(folder: Path) -> None:
    from jsonschema import Draft202012Validator  # it takes seconds to load

    schema = json.loads(reference()["reference/lab-report.schema.json"])
    Draft202012Validator(schema).validate(json.loads((folder / "report.json").read_text()))


def test_the_markdown_of_every_lab_is_chinese(folder: Path) -> None:
    lines = (folder / "report.zh.md").read_text().replace("\\", "").splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#") or after.startswith("| ---") or line.startswith("    --"):
            assert not strangers(re.sub("快照 [ABC]|[ABC]\\)|processed_at|status", "", line)), line
        assert not re.match(r"- [0-9.]+ (fault|undone)", line), line
        label = re.match(r"- ([^:0-9]+): ", line)
        assert label is None or "_" in label[1] or CHINESE.search(label[1]), line


def test_the_page_of_every_lab_is_chinese(folder: Path) -> None:
    report, html = load(folder), (folder / "report.html").read_text()
    own = {f"{lab.title.zh} {lab.record.verdict}" for lab in report.labs}
    own |= {field.name.zh for lab in report.labs for field in lab.record.conclusion}
    labels = set(Labels.of(html))
    for chinese in ("故障：对 worker w1 发 SIGKILL", "# stuck 大于 0 后按 ^C", "-- C) 最老的 pending"):
        assert chinese in html
    assert len(labels) > 50
    assert {label: found for label in labels if (found := strangers(label)) and label not in own} == {}


@pytest.mark.parametrize("lab", CORE, ids=lambda lab: lab.name)
def test_the_chinese_page_shows_a_conclusion_with_the_fields_of_a_real_one(
    folder: Path, lab: type[Lab]
) -> None:
    report = (folder / "report.zh.md").read_text().replace("\\", "")
    real = re.split(r"^## ", report[report.index(f"\n## {lab.name}\n") + 4 :], flags=re.MULTILINE)[0]
    shown = re.findall(r"^```text\n(.*?)^```", part(lab), re.MULTILINE | re.DOTALL)[0].splitlines()
    fields = [line.removeprefix("- ") for line in real[real.index("### 结论记录") :].splitlines()]
    assert [line.partition(":")[0] for line in shown] == [
        line.partition(":")[0] for line in fields[2 : fields.index("", 2)]
    ]
