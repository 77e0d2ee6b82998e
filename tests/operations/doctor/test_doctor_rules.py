"""What holds for all rules, and those that no server at hand can bring about."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from outboxctl.core.inspect.server import ServerFacts
from outboxctl.operations.doctor.database_rules import too_old
from outboxctl.operations.doctor.examination import CHECKS, catalogue
from outboxctl.operations.doctor.model import End
from outboxctl.settings import load

pytestmark = pytest.mark.no_servers
GOOD = ServerFacts(130_000, "13.0", False, False, "read committed", "app", "r")


def test_ids_are_unique_and_fit_for_scripts() -> None:
    ids = [rule.id for checks in CHECKS.values() for check in checks for rule in check.rules]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", id_) for id_ in catalogue())


def test_why_is_a_sentence() -> None:
    assert all(why.endswith(".") and "|" not in why for _, _, why in catalogue().values())


@pytest.mark.parametrize(("number", "found"), [(120_022, 1), (130_000, 0), (180_001, 0)])
def test_the_oldest_postgresql(number: int, found: int) -> None:
    findings = too_old.findings(End.DATABASE, replace(GOOD, number=number), load())
    assert [finding.id for finding in findings] == ["postgres-too-old"] * found


def test_each_finding_is_brought_about_by_a_test() -> None:
    tests = Path(__file__).parents[2]
    folders = (Path(__file__).parent, *(tests / each for each in ("engines", "projections", "security")))
    texts = "".join(path.read_text() for folder in folders for path in folder.glob("test_*.py"))
    assert [id_ for id_ in catalogue() if f'"{id_}"' not in texts] == []
