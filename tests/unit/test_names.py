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
TREES = {path.relative_to(SOURCE): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))


def test_no_class_is_a_thread() -> None:
    """One had an attribute `_context`, which Python 3.14 gave Thread itself: no worker stopped cleanly."""
    classes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases} for node in classes}
    assert len(bases) > 100
    assert [name for name, of in bases.items() if of & {"Thread", "Process", "Timer"}] == []


def test_no_public_class_has_a_name_that_another_one_has() -> None:
    places = defaultdict(list)
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_name_is_of_the_dialect() -> None:
    names = {part for path in TREES for part in path.with_suffix("").parts}
    names |= {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, NAMED)}
    assert {name for name in names if words(name) & DIALECT} == set()


def test_each_package_says_what_is_in_it_and_each_room_what_it_may_import() -> None:
    for path, tree in TREES.items():
        if path.name == "__init__.py":
            text = ast.get_docstring(tree)
            assert text, path
            assert len(path.parts) != 2 or "mports " in text, path


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports that are only for types count as well: a circle of them ties rooms together all the same."""
    graph = grimp.build_graph("outboxctl")
    order = TopologicalSorter({each: graph.find_modules_directly_imported_by(each) for each in graph.modules})
    order.prepare()  # raises CycleError, with the modules of one circle
