"""Every lab, by subject: a class in a module here is its own registration."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from outboxctl.drills.labs.lab import Lab


def _labs() -> Iterator[type[Lab]]:
    for file in iter_modules(__path__):
        module = import_module(f"{__name__}.{file.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Lab) and value.__module__ == module.__name__:
                yield value


# Labs that take longest begin first, so that a run of all ends soonest.
LABS = tuple(sorted(_labs(), key=lambda lab: (-lab.seconds, lab.name)))
# The six of the lab document.
CORE = tuple(sorted((lab for lab in LABS if lab.number), key=lambda lab: lab.number or 0))
