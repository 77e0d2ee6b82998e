"""What killed runs of labs left: the next run, or `chaos undo`, ends it and marks the evidence."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from outboxctl.domain.errors import OutboxctlError

if TYPE_CHECKING:
    from outboxctl.drills.services.model import Say

EVIDENCE = "evidence.path"  # a file in a run's own folder: the path of its evidence
CLEAR_UP = (
    "import sys; from outboxctl.cli.lab.leftovers import recover; recover(); sys.exit(int(sys.argv[1]))"
)


def note(folder: Path, evidence: Path) -> None:
    """Write the path of the evidence into a run's own folder."""
    (folder / EVIDENCE).write_text(str(evidence))


def recover() -> None:
    """Undo what killed runs left: faults, processes, services; mark their evidence. Only a run calls it."""
    from outboxctl.cli.chaos.ledger import undo_leftovers
    from outboxctl.cli.options import settings

    end_runs()
    undo_leftovers(settings)  # after the workers have ended: they could use what is undone


def end_runs() -> None:
    """End the processes and services of killed runs, and mark their evidence."""
    from outboxctl.cli.chaos.ledger import say
    from outboxctl.drills.scratch.folder import sweep

    sweep("lab", say, lambda folder: _interrupted(folder, say))


def take_over(code: int) -> NoReturn:
    """Replace this process by one that ends everything of this run at once.

    The threads end with it: they may be starting a service or a worker, and must not start another.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # inherited: nothing interrupts the clean-up
    os.execv(sys.executable, [sys.executable, "-P", "-c", CLEAR_UP, str(code)])  # noqa: S606 - a list, no shell


def _interrupted(folder: Path, say: "Say") -> None:
    from outboxctl.drills.labs import evidence

    say(f"clearing up after a run that was ended: {folder.name}")
    try:
        path = Path((folder / EVIDENCE).read_text())
        if evidence.mark_interrupted(path):
            say(f"its evidence is marked as interrupted: {path}")
    except FileNotFoundError:
        return  # it was killed before it had any
    except (OSError, OutboxctlError) as error:
        say(f"its evidence cannot be marked as interrupted: {error}")
