"""Breakages of the worker, one for each lab, which must then fail: a module for each group of labs.

Each module has a dict `BREAKAGES`: a lab's name, and a function without arguments that breaks this
process's worker before it starts, by replacing something in `outboxctl` or a setting in `os.environ`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules

Breakage = Callable[[], object]


def breakages_by_lab() -> dict[str, Breakage]:
    """Every breakage of this folder, by lab; two for one lab are a mistake."""
    breakages: dict[str, Breakage] = {}
    for module in sorted(each.name for each in iter_modules(__path__)):
        own: Mapping[str, Breakage] = import_module(f"{__name__}.{module}").BREAKAGES
        twice = breakages.keys() & own.keys()
        assert not twice, f"{module}: another module breaks these labs too: {', '.join(sorted(twice))}"
        breakages |= own
    return breakages
