"""`lab run`: the labs, one verdict, and the exit code that goes with it."""

import os
import signal
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from outboxctl.cli.lab.catalogue import Lang, Language, chosen
from outboxctl.cli.options import Json, NotProduction
from outboxctl.cli.services import Search
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.labs.evidence import EvidenceFolder
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import LabRun, Record
    from outboxctl.drills.labs.place import Place

JOBS = 6  # labs side by side
CLEAR_UP = "import sys; from outboxctl.cli.chaos.ledger import recover; recover(); sys.exit(int(sys.argv[1]))"


def run(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Labs, or their numbers, `core` or `all`."),
    ],
    search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A new folder [default: lab-evidence/<UTC time>].")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting that replaces every lab's; repeatable."),
    ] = None,
    worker: Annotated[
        str | None, typer.Option("--worker", metavar="COMMAND", help="Another build of the worker.")
    ] = None,
    against: Annotated[
        bool,
        typer.Option("--against", help="On the system that DATABASE_URL and ELASTIC_URL lead to."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --against.")] = False,
    sure: NotProduction = False,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """Run labs on services of their own and give a verdict: exit 0 if OK, 4 if FAIL, 5 if INCONCLUSIVE.

    With --against they run on your own staging system, in schemas and indexes of their own. --set and
    --worker try other settings, or another build of the worker, before they are deployed.

    Example: outboxctl lab run all --set OUTBOX_LEASE_SECONDS=5 --worker '.venv-new/bin/outboxctl worker'
    """
    from outboxctl.cli.chaos.ledger import recover, say
    from outboxctl.cli.lab import run_arguments
    from outboxctl.cli.lab.against import confirmed
    from outboxctl.cli.lab.report import CODES, show
    from outboxctl.drills.labs.evidence import EvidenceFolder
    from outboxctl.drills.labs.place import OwnPlace, Place
    from outboxctl.drills.scratch.folder import SignalReceived, own_folder

    labs, overrides = chosen(names), run_arguments.overrides(set_ or [])
    command, path = run_arguments.command(worker), run_arguments.evidence(evidence)
    if against and search is not Search.AUTO:
        raise UsageError("--search: with --against the search engine is that of ELASTIC_URL")
    recover()
    try:
        with own_folder("lab", say) as folder:
            place: Place = OwnPlace(folder.path, search.value, overrides, say)
            if against:
                place = confirmed(labs, folder.path, overrides, worker=worker, yes=yes, sure=sure)
            written = EvidenceFolder(path)
            ended = conduct(labs, place, written, command, lang=lang)
    except SignalReceived as arrived:
        raise typer.Exit(arrived.code) from None
    show(ended, path, lang, json=json)
    if written.lost:
        lost = ", ".join(written.lost)
        raise OutboxctlError(f"evidence could not be written into {path}: {lost}", hint="is the disk full?")
    raise typer.Exit(128 + folder.interrupted if folder.interrupted else CODES[ended.verdict])


class AnnouncedStop(Event):
    """The order to end early, announced on stderr."""

    def set(self) -> None:
        """Give the order, then announce it."""
        from outboxctl.cli.chaos.ledger import say

        super().set()
        say("Ending: faults are undone, evidence is kept; ^C again ends at once.")


def conduct(
    labs: "list[type[Lab]]",
    place: "Place",
    evidence: "EvidenceFolder",
    command: "Sequence[str] | None",
    *,
    lang: str,
) -> "LabRun":
    """Run labs, say where each begins and ends, and write the evidence of each as it ends."""
    from outboxctl.cli.chaos.ledger import say
    from outboxctl.drills.labs.messages import in_language
    from outboxctl.drills.labs.run import Runner
    from outboxctl.drills.scratch.folder import SignalReceived

    def began(lab: "type[Lab]") -> None:
        say(in_language(f"{lab.name}: begins, about {lab.takes()}", lang))

    def ended(record: "Record") -> None:
        say(in_language(f"{record.lab}: {record.verdict} after {record.seconds:.1f} s", lang))
        evidence.add(record)

    versions = place.versions()  # starts the services
    evidence.begin([lab.name for lab in labs])
    try:
        Runner(place, evidence.path, began, ended, AnnouncedStop(), JOBS, command).run(labs)
        return evidence.finish(versions)
    except SignalReceived as again:
        _take_over(again.code)


def _take_over(code: int) -> NoReturn:
    """Replace this process by one that ends everything of this run at once.

    The threads end with it: they may be starting a service or a worker, and must not start another.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # inherited: nothing interrupts the clean-up
    os.execv(sys.executable, [sys.executable, "-P", "-c", CLEAR_UP, str(code)])  # noqa: S606 - a list, no shell
