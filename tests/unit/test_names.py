"""Names that a newcomer can look up: one class for a name, and no word that only this project understands."""

import ast
import re
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import outboxctl

pytestmark = pytest.mark.no_servers
SOURCE = Path(outboxctl.__file__).parent
# Words of a dialect that the code once had, each with nothing in the field that it stands for.
DIALECT = {
    *("portion", "quarantine", "halving", "vouched", "turnstile", "plenty", "bell", "plainly", "unheard"),
    *("ours", "acts", "deeds", "mend", "moving", "standing", "closing", "means", "given", "book", "born"),
    *("strangers", "alike", "whole", "ends", "way", "proved", "told", "said", "seen", "found"),
}
FILES = sorted(SOURCE.rglob("*.py"))


def words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))


def test_no_class_is_a_thread() -> None:
    """One had an attribute `_context`, which Python 3.14 gave Thread itself: no worker stopped cleanly."""
    bases = {
        f"{path.name}: {node.name}": {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    assert len(bases) > 100
    assert [name for name, of in bases.items() if of & {"Thread", "Process", "Timer"}] == []


def test_no_public_class_has_a_name_that_another_one_has() -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(SOURCE)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_name_is_of_the_dialect(path: Path) -> None:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    names = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}
    names |= set(path.relative_to(SOURCE).with_suffix("").parts)
    assert {name for name in names if words(name) & DIALECT} == set()


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_a_package_says_what_is_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


ROOMS = ("domain", "settings", "net", "core", "sink", "metrics", "worker", "operations", "drills", "cli")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_may_import(room: str) -> None:
    text = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text()))
    assert text
    assert "mports " in text


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports that are only for types count as well: a circle of them ties rooms together all the same."""
    graph = grimp.build_graph("outboxctl")
    order = TopologicalSorter({each: graph.find_modules_directly_imported_by(each) for each in graph.modules})
    order.prepare()  # raises CycleError, with the modules of one circle
