"""The threat page's table: every row names tests, and each of them is there and runs."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
HEAD = "| who | can | is kept from | tried by |\n| --- | --- | --- | --- |\n"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NEVER = {"skip", "xfail"}


def rows() -> list[list[str]]:
    body = PAGE.partition(HEAD)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in body.splitlines()]


def test_the_table_says_who_can_do_what_and_what_tried_it() -> None:
    assert len(rows()) >= 12
    assert {len(row) for row in rows()} == {4}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_row_is_tried_by_tests_and_by_nothing_else(row: list[str]) -> None:
    assert row[3], "a sentence that nobody tries is a wish"
    assert re.sub(TEST, "", row[3]).strip(" ,") == ""


@pytest.mark.parametrize("named", sorted(set(TEST.findall(PAGE))), ids="::".join)
def test_each_named_test_is_there_and_runs(named: tuple[str, str]) -> None:
    path, name = named
    assert Path(path).name.startswith("test_")
    tree = ast.parse((ROOT / path).read_text())
    (found,) = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name]
    assert not [mark for mark in (*found.decorator_list, *module_marks(tree)) if never(mark)]


def module_marks(tree: ast.Module) -> list[ast.expr]:
    """What `pytestmark` is set to."""
    return [
        each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and "pytestmark" in {getattr(to, "id", "") for to in each.targets}
    ]


def never(mark: ast.expr) -> bool:
    """Whether a mark keeps a test from running, or from counting, whatever the machine is."""
    return bool({each.attr for each in ast.walk(mark) if isinstance(each, ast.Attribute)} & NEVER)
