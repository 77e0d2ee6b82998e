"""Labs on the user's own system: what they will make there is shown and confirmed first."""

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.place import StagingPlace

TASK = "run labs"
LONGEST = 400  # characters of a line with a name, which is 255 bytes at most
FAULTS = (
    "Faults: a proxy on this machine before the sink, for each lab's workers alone; kills and pauses, for "
    "workers that the lab starts here; rows and a rebuild, in the lab's own schema and index."
)


def confirmed(
    labs: "Sequence[type[Lab]]",
    home: "Path",
    overrides: "Mapping[str, str]",
    *,
    worker: str | None,
    yes: bool,
    sure: bool,
) -> "StagingPlace":
    """The system of the settings, once its use is confirmed; `worker` is the command of `--worker`.

    Raises UsageError where that is refused, UnreachableError where a server is unreachable.
    """
    from outboxctl.cli.guards import confirm
    from outboxctl.cli.options import settings
    from outboxctl.core.database import Database
    from outboxctl.drills.faults.gate import allow
    from outboxctl.drills.labs.place import StagingPlace

    used = settings()
    with closing(Database(used.require_database_url(), connections=1)) as database:
        allow(used, TASK, sure=sure)
        place = StagingPlace(used, home, labs, overrides)
        with suppress(BrokenPipeError):  # stderr is closed: only --yes can confirm
            _show(place, database.name, worker)
        confirm(used, database, TASK, yes=yes, always=True)
    return place


def _show(place: "StagingPlace", database: str, worker: str | None) -> None:
    """What will be made where, and which faults injected; names are never cut, so that they can be copied."""
    from outboxctl.cli import rendering

    out = rendering.console(stderr=True)
    versions, labs = place.versions(), list(place.names)
    out.print(f"Database {database} ({versions['postgres']}), sink {place.sink} ({versions['search']}).")
    out.print("Each lab makes there, and removes at the end:")
    for kind, name in zip(("schema", "index"), _patterns(place, labs[0]), strict=True):
        out.print(rendering.cell(f"  {kind:<6}  {name}", LONGEST), soft_wrap=True)
    out.print(f"Run {place.mark}, {counted(len(labs), 'lab')}: {', '.join(lab.name for lab in labs)}.")
    events = sum(lab.events for lab in labs)
    out.print(f"Each lab writes some hundreds of events of its own ({events:,} to begin with).")
    out.print(FAULTS)
    if worker is None:
        out.print("Nothing else is touched.")
    else:
        out.print(rendering.cell(_risk(worker, place.default_schema())), style="bold")


def _risk(worker: str, schema: str | None) -> str:
    where = f"in schema {brief(schema, 100)}" if schema else "wherever your role's search path leads"
    return (
        f"--worker {brief(worker, 200)} gets DATABASE_URL with options=-csearch_path=SCHEMA of its lab, and"
        f" must honour it: else it delivers, fails and deletes your own events {where}. They are at risk."
    )


def _patterns(place: "StagingPlace", lab: "type[Lab]") -> tuple[str, str]:
    """The names of a schema and an index, with LAB in place of the lab's name."""
    names = place.names[lab]
    schema, index = names.schema.rsplit(lab.name.replace("-", "_"), 1), names.index.rsplit(lab.name, 1)
    return "LAB".join(schema), "LAB".join(index)
