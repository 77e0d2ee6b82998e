"""No row of the failure table is without a test that bears its name."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from outboxctl.domain.failures import Noop, Reason

pytestmark = pytest.mark.no_servers
MODULES = [f"sink.rows.{path.stem}" for path in Path(__file__).parent.glob("test_*.py")]
MODULES += ["engines.test_engine_index", "projections.test_unique_keys"]
ROWS = [*map(str, Reason), *map(str, Noop), "done", "item_400", "bisect"]


def names(module: Any) -> Iterator[str]:
    """What a module's tests and their cases are called."""
    for name, test in vars(module).items():
        if name.startswith("test_"):
            yield name.removeprefix("test_")
            for mark in getattr(test, "pytestmark", []):
                yield from cases(mark) if mark.name == "parametrize" else ()


def cases(mark: pytest.Mark) -> Iterator[str]:
    """The ids of a parametrized test, where they were given."""
    yield from mark.kwargs.get("ids", [])
    yield from (str(case.id) for case in mark.args[1] if hasattr(case, "id"))


def bears(name: str, key: str) -> bool:
    """Whether a name is a row's, or begins with it."""
    return name == key or name.startswith((f"{key}-", f"{key}_"))


def test_every_row_has_a_test() -> None:
    named = [name for module in MODULES for name in names(import_module(module))]
    assert [key for key in ROWS if not any(bears(name, key) for name in named)] == []
