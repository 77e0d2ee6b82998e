"""`lab run all`: every lab is OK; what the run leaves is as its schema says, and in Chinese too."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tools.reference import pages as reference

from docs.test_zh import part
from drills.labs.conftest import LONGEST_SECONDS
from outboxctl.drills.labs import Lab
from outboxctl.drills.labs.catalogue import CORE, LABS
from outboxctl.drills.labs.messages import in_language

pytestmark = [pytest.mark.no_servers, pytest.mark.timeout(LONGEST_SECONDS)]
Ended = tuple[dict[str, Any], Path]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_with_our_worker_it_is_ok(ended: Ended, lab: type[Lab]) -> None:
    run, _ = ended
    (record,) = (each for each in run["records"] if each["lab"] == lab.name)
    unmet = [check for check in record["checks"] if check["verdict"] != "OK"]
    assert record["verdict"] == "OK", (record["why"], unmet)


def test_the_exit_code_is_that_of_the_verdict(ended: Ended) -> None:
    assert (ended[0]["code"], ended[0]["verdict"]) == (0, "OK")


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
    (record,) = (each for each in ended[0]["records"] if each["lab"] == lab.name)
    shown = re.findall(r"^```text\n(.*?)^```", part(lab), re.MULTILINE | re.DOTALL)[0].splitlines()
    fields = [in_language(name, "zh") for name in record["conclusion"]]
    assert [line.partition(":")[0] for line in shown] == fields
