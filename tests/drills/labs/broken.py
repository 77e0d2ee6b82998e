"""`outboxctl worker` with one thing broken: the lab it runs in must say FAIL.

A program of its own, to be given to labs as the worker's command. Which lab it runs in it knows from
the name of the index, `lab-NAME`; a lab for which nothing is broken gets no worker at all.
"""

import os
import sys
from pathlib import Path

INDEX = "ELASTIC_INDEX"
PREFIX = "lab-"
TESTS = Path(__file__).parents[2]


def main() -> None:
    """Break it, then be the worker."""
    sys.path[0] = str(TESTS)  # test code is imported from there; a program begins with its own folder
    from drills.labs.breakages import found

    index = os.environ[INDEX]
    lab = index.removeprefix(PREFIX)
    breakages = found()
    if lab not in breakages:
        sys.exit(f"nothing is broken for the lab {lab!r} ({INDEX}={index}): see tests/drills/labs/breakages/")
    breakages[lab]()

    from outboxctl.cli import main as outboxctl  # what was broken stays broken: imported afterwards

    sys.argv = ["outboxctl", "worker"]
    outboxctl()


if __name__ == "__main__":
    main()
