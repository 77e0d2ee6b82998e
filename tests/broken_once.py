"""`outboxctl` of which one function raises at its first call: `broken_once.py MODULE:FUNCTION COMMAND …`."""

import sys
from functools import reduce
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__)
BROKEN = "broken on purpose"


def main() -> None:
    """Break the function named first, then run the command."""
    target, *arguments = sys.argv[1:]
    break_once(target)
    from outboxctl.cli import main as outboxctl  # what was broken stays broken: imported afterwards

    sys.argv = ["outboxctl", *arguments]
    outboxctl()


def break_once(target: str) -> None:
    """Replace a function or a method by one that raises at its first call."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, import_module(module))
    whole, calls = getattr(owner, name), count()

    def broken(*args: Any, **more: Any) -> Any:
        if next(calls) == 0:
            raise RuntimeError(BROKEN)
        return whole(*args, **more)

    setattr(owner, name, broken)


if __name__ == "__main__":
    main()
