"""What a run of labs that was killed left behind: found, undone and written down by the next command."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from outboxctl.domain.errors import OutboxctlError

if TYPE_CHECKING:
    from outboxctl.drills.services.model import Say

EVIDENCE = "evidence.path"  # in a run's own folder: where it writes what it finds
CLEAR_UP = (
    "import sys; from outboxctl.cli.lab.leftovers import recover; recover(); sys.exit(int(sys.argv[1]))"
)


def note(folder: Path, evidence: Path) -> None:
    """Write down in a run's own folder where its evidence is."""
    (folder / EVIDENCE).write_text(str(evidence))


def recover() -> None:
    """Undo what killed runs left: faults, processes, services; mark their evidence. A callback of `lab`."""
    from outboxctl.cli.chaos.ledger import say, undo_leftovers
    from outboxctl.drills.scratch.folder import sweep

    sweep("lab", say, lambda folder: _interrupted(folder, say))
    undo_leftovers()  # after the workers are gone, who might go on with what is undone


def take_over(code: int) -> NoReturn:
    """Become a process that ends everything of this run at once: its threads go without a word.

    They may be starting a service or a worker just now; after this none can start any more.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # inherited: nothing interrupts the clearing up
    os.execv(sys.executable, [sys.executable, "-P", "-c", CLEAR_UP, str(code)])  # noqa: S606 - a list, no shell


def _interrupted(folder: Path, say: "Say") -> None:
    from outboxctl.drills.labs import evidence

    say(f"clearing up after a run that was ended: {folder.name}")
    try:
        path = Path((folder / EVIDENCE).read_text())
        if evidence.mark_interrupted(path):
            say(f"its evidence is marked as interrupted: {path}")
    except FileNotFoundError:
        return  # it had found nothing yet
    except (OSError, OutboxctlError) as error:
        say(f"its evidence cannot be marked as interrupted: {error}")
