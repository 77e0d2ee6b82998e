"""`outboxctl worker` of which one method raises at its first call: `broken_once.py MODULE:CLASS.METHOD`."""

import sys
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__)
BROKEN = "broken on purpose"


def main() -> None:
    """Break the function named first, then be a worker with the other arguments."""
    target, *arguments = sys.argv[1:]
    break_once(target)
    from outboxctl.cli import main as outboxctl  # what was broken stays broken: imported afterwards

    sys.argv = ["outboxctl", "worker", *arguments]
    outboxctl()


def break_once(target: str) -> None:
    """Replace a method by one that raises at its first call."""
    module, _, path = target.partition(":")
    owner, _, name = path.partition(".")
    part = getattr(import_module(module), owner)
    whole, calls = getattr(part, name), count()

    def broken(*args: Any, **more: Any) -> Any:
        if next(calls) == 0:
            raise RuntimeError(BROKEN)
        return whole(*args, **more)

    setattr(part, name, broken)


if __name__ == "__main__":
    main()
