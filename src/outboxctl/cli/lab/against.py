"""Labs on the user's own system: what they will make there is shown and confirmed first."""

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.place import LabPlace

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
) -> "LabPlace":
    """The system of the settings, once its use is confirmed. UsageError, UnreachableError."""
    from outboxctl.cli.guards import confirm
    from outboxctl.cli.options import settings
    from outboxctl.core.database import Database
    from outboxctl.drills.faults.gate import allow
    from outboxctl.drills.labs.place import LabPlace

    used = settings()
    with closing(Database(used.require_database_url(), connections=1)) as database:
        allow(used, TASK, sure=sure)
        place = LabPlace(used, home, overrides)
        with suppress(BrokenPipeError):  # stderr is closed: only --yes can confirm
            _show(place, labs, database.name, worker)
        confirm(used, database, TASK, yes=yes, always=True)
    return place


def _show(place: "LabPlace", labs: "Sequence[type[Lab]]", database: str, worker: str | None) -> None:
    """What will be made where, and which faults injected; names are never cut, so that they can be copied."""
    from outboxctl.cli import rendering
    from outboxctl.core.schema.namespaces import schema_of
    from outboxctl.net.urls import mask

    out, versions = rendering.console(stderr=True), place.versions
    sink = mask(place.settings.sink_urls[0])
    out.print(f"Database {database} ({versions['postgres']}), sink {sink} ({versions['search']}).")
    out.print("These are made there, and removed at the end:")
    for names in map(place.names, labs):
        out.print(rendering.cell(f"  schema {names.schema}, index {names.index}", LONGEST), soft_wrap=True)
    out.print("Each lab writes some hundreds of events of its own.")
    out.print(FAULTS)
    if worker is None:
        out.print("Nothing else is touched.")
        return
    schema = schema_of(place.settings.require_database_url())  # without the search path
    where = f"in schema {brief(schema, 100)}" if schema else "wherever your role's search path leads"
    risk = (
        f"--worker {brief(worker, 200)} gets DATABASE_URL with options=-csearch_path=SCHEMA of its lab, and"
        f" must honour it: else it delivers, fails and deletes your own events {where}. They are at risk."
    )
    out.print(rendering.cell(risk), style="bold")
