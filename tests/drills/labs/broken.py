"""`outboxctl worker` with one thing broken: the lab it runs in must end in FAIL.

A program for `lab run --worker`. The lab follows from the name of the index, `lab-NAME`; the program
exits for a lab without a breakage.
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
    from drills.labs.breakages import breakages_by_lab

    index = os.environ[INDEX]
    lab = index.removeprefix(PREFIX)
    breakages = breakages_by_lab()
    if lab not in breakages:
        sys.exit(f"nothing is broken for the lab {lab!r} ({INDEX}={index}): see tests/drills/labs/breakages/")
    breakages[lab]()

    from outboxctl.cli import main as outboxctl  # what was broken stays broken: imported afterwards

    sys.argv = ["outboxctl", "worker"]
    outboxctl()


if __name__ == "__main__":
    main()
