"""Labs on the user's own system: what they will make there is shown, and agreed to, first."""

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.staging import Planned, StagingPlace

TASK = "run labs"
LONGEST = 400  # characters of a line with a name, which is 255 bytes at most
FAULTS = (
    "Faults: a proxy on this machine before the sink, for each lab's workers alone; "
    "kills, pauses and a wrong clock, for workers that the lab starts here; write blocks and mappings, on "
    "the lab's own index; rows and a rebuild, in the lab's own schema and index."
)


def agreed(
    labs: "Sequence[type[Lab]]",
    home: "Path",
    over: "Mapping[str, str]",
    *,
    worker: str | None,
    yes: bool,
    sure: bool,
) -> "StagingPlace":
    """The system of the settings as a place for labs. Raises UsageError where that is not allowed or wanted.

    `worker` is the command that somebody wants to try instead of our worker.

    UnreachableError where one of its ends is away.
    """
    from outboxctl.cli.guards import confirm
    from outboxctl.cli.options import settings
    from outboxctl.core.database import Database
    from outboxctl.drills.faults.gate import allow
    from outboxctl.drills.labs.staging import StagingPlace

    given = settings()
    with closing(Database(given.require_database_url(), connections=1)) as database:
        allow(given, TASK, sure=sure)
        place = StagingPlace(given, home, labs, over)
        with suppress(BrokenPipeError):  # nobody reads stderr, so it must be --yes that agrees
            _show(place, database.name, worker)
        confirm(given, database, TASK, yes=yes, always=True)
    return place


def _show(place: "StagingPlace", database: str, worker: str | None) -> None:
    """What will be made where, and what will be broken; names stay whole, to be copied."""
    from outboxctl.cli import rendering

    out = rendering.console(stderr=True)
    versions, here = place.versions(), [plan for plan in place.planned if not place.lacks(plan.lab)]
    out.print(f"Database {database} ({versions['postgres']}), sink {place.sink} ({versions['search']}).")
    if here:
        out.print("Each lab makes there, and removes at the end:")
        for what, name in zip(("schema", "index"), _pattern(here[0]), strict=True):
            out.print(rendering.cell(f"  {what:<6}  {name}", LONGEST), soft_wrap=True)
        out.print(f"Run {place.mark}, {counted(len(here), 'lab')}: {', '.join(p.lab.name for p in here)}.")
    for plan in place.planned:
        if lacking := place.lacks(plan.lab):
            out.print(f"Not {plan.lab.name}: it needs {' and '.join(lacking)}.")
    events = sum(plan.lab.events for plan in here)
    out.print(f"Each lab writes some hundreds of events of its own ({events:,} to begin with).")
    out.print(FAULTS)
    if worker is None:
        out.print("Nothing else is touched.")
    else:
        out.print(rendering.cell(_at_risk(worker, place.default_schema())), style="bold")


def _at_risk(worker: str, schema: str | None) -> str:
    """Nobody can know beforehand what another program does."""
    where = f"in schema {brief(schema, 100)}" if schema else "wherever your role's search path leads"
    return (
        f"--worker {brief(worker, 200)} gets DATABASE_URL with options=-csearch_path=SCHEMA of its lab, and"
        f" must honour it: else it delivers, fails and deletes your own events {where}. They are at risk."
    )


def _pattern(plan: "Planned") -> tuple[str, str]:
    """The names of a lab's schema and index, with LAB where each has its own."""
    name = plan.lab.name
    schema, index = plan.own.schema.rsplit(name.replace("-", "_"), 1), plan.own.index.rsplit(name, 1)
    return "LAB".join(schema), "LAB".join(index)
