"""`lab run all`: every lab is OK; what the run leaves is as its schema says, and in Chinese too."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tools.reference import pages as reference

from docs.test_zh import part
from drills.labs.conftest import LONGEST_SECONDS
from outboxctl.drills.labs.catalogue import CORE, LABS
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.messages import in_language

pytestmark = [pytest.mark.no_servers, pytest.mark.timeout(LONGEST_SECONDS)]
Ended = tuple[dict[str, Any], Path]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_with_our_worker_it_is_ok(ended: Ended, lab: type[Lab]) -> None:
    run, _ = ended
    (record,) = (each for each in run["records"] if each["lab"] == lab.name)
    imitated = lab.real_engine and run["versions"]["search"].startswith("noida")
    unmet = [check for check in record["checks"] if check["verdict"] != "OK"]
    assert record["verdict"] == ("INCONCLUSIVE" if imitated else "OK"), (record["why"], unmet)


def test_the_exit_code_is_that_of_the_verdict(ended: Ended) -> None:
    assert ended[0]["code"] == {"OK": 0, "INCONCLUSIVE": 5}[ended[0]["verdict"]]


def test_the_report_is_what_its_schema_says(ended: Ended) -> None:
    from jsonschema import Draft202012Validator  # it takes seconds to load

    schema = json.loads(reference()["reference/lab-report.schema.json"])
    Draft202012Validator(schema).validate(json.loads((ended[1] / "report.json").read_text()))


def test_every_check_has_its_chinese(ended: Ended) -> None:
    records = ended[0]["records"]
    names = {check["name"] for record in records for check in record["checks"]}
    names |= {name for record in records for name in record["conclusion"]}
    names |= {window["fault"] for record in records for window in record["windows"]}
    assert sorted(name for name in names if in_language(name, "zh") == name) == []


@pytest.mark.parametrize("lab", CORE, ids=lambda lab: lab.name)
def test_the_chinese_page_shows_a_conclusion_with_the_fields_of_a_real_one(
    ended: Ended, lab: type[Lab]
) -> None:
    report = (ended[1] / "report.zh.md").read_text().replace("\\", "")
    real = re.split(r"^## ", report[report.index(f"\n## {lab.name}\n") + 4 :], flags=re.MULTILINE)[0]
    shown = re.findall(r"^```text\n(.*?)^```", part(lab), re.MULTILINE | re.DOTALL)[0].splitlines()
    fields = [line.removeprefix("- ") for line in real[real.index("### 结论记录") :].splitlines()]
    assert [line.partition(":")[0] for line in shown] == [
        line.partition(":")[0] for line in fields[2 : fields.index("", 2)]
    ]
