"""What holds for all rules, and those that no server at hand can bring about."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from outboxctl.core.inspect.server import ServerFacts
from outboxctl.operations.doctor.database_rules import encoding, too_old
from outboxctl.operations.doctor.examination import CHECKS, catalogue
from outboxctl.operations.doctor.model import End
from outboxctl.settings import load

pytestmark = pytest.mark.no_servers
GOOD = ServerFacts(140_000, "14.0", False, False, "read committed", "app", "r", "UTF8")


def test_ids_are_unique_and_fit_for_scripts() -> None:
    ids = [rule.id for checks in CHECKS.values() for check in checks for rule in check.rules]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", id_) for id_ in catalogue())


def test_why_is_a_sentence() -> None:
    assert all(why.endswith(".") and "|" not in why for _, _, why in catalogue().values())


@pytest.mark.parametrize(("number", "found"), [(130_022, 1), (140_000, 0), (180_001, 0)])
def test_the_oldest_postgresql(number: int, found: int) -> None:
    findings = too_old.findings(End.DATABASE, replace(GOOD, number=number), load())
    assert [finding.id for finding in findings] == ["postgres-too-old"] * found


@pytest.mark.parametrize(("name", "found"), [("LATIN1", 1), ("SQL_ASCII", 1), ("UTF8", 0)])
def test_the_encoding(name: str, found: int) -> None:
    findings = encoding.findings(End.DATABASE, replace(GOOD, encoding=name), load())
    assert [finding.id for finding in findings] == ["database-encoding"] * found


def test_each_finding_is_brought_about_by_a_test() -> None:
    tests = Path(__file__).parents[2]
    folders = (Path(__file__).parent, *(tests / each for each in ("engines", "projections", "security")))
    texts = "".join(path.read_text() for folder in folders for path in folder.glob("test_*.py"))
    assert [id_ for id_ in catalogue() if f'"{id_}"' not in texts] == []
