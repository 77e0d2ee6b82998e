"""`rebuild`: a new index behind the alias."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse
from outboxctl.cli.rebuild.session import Chosen, IndexOptions, KeepOld, Patience, session

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.operations.rebuild.plan import Part

Mapping = Annotated[
    str | None,
    typer.Option(
        help="`keep` that of the old index, `default` for the project's own (of a projection: as it is "
        "declared), or a JSON file with `mappings`, `settings` or both [default: keep; of a projection: "
        "default]."
    ),
]


def rebuild(
    options: IndexOptions,
    mapping: Mapping = None,
    keep_old: KeepOld = "24h",
    allow_failures: Annotated[
        bool, typer.Option("--allow-failures", help="Go on without documents that the new index refuses.")
    ] = False,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Do not delete the new index if it refuses documents.")
    ] = False,
    patience: Patience = 60.0,
) -> None:
    """Build a new index from the database while events flow, and put it behind the alias at once.

    Killed or interrupted, the same command goes on where it stopped. `index` has what comes after it:
    its progress, the way back, and the end of one that was interrupted.

    Example: outboxctl rebuild --by alice --reason "new analyzer" --mapping new.json --yes
    """
    from outboxctl.operations.rebuild.plan import choose, plan

    grace = parse.duration("--keep-old", keep_old).total_seconds()
    with session(options, "rebuild") as work:
        given = choose(mapping or "keep") if mapping != "default" else None
        with work.opened() as (db, client, chosen):
            with db.begin() as connection:
                mappings, settings = _parts(connection, chosen, given, as_usual=mapping is None)
                planned = plan(
                    connection,
                    client,
                    chosen.name,
                    mappings=mappings,
                    settings=settings,
                    source=chosen.source,
                )
            more = {"allow_failures": allow_failures, "keep_failed": keep_failed}
            work.carry_out(db, client, chosen, planned, grace=grace, patience=patience, **more)


def _parts(
    connection: "Connection", chosen: Chosen, given: "tuple[Part, Part] | None", *, as_usual: bool
) -> "tuple[Part, Part]":
    """What is given of the new index; of an interrupted rebuild nothing has to be given again."""
    from outboxctl.core.operator import rebuilds
    from outboxctl.operations.projection.known import named
    from outboxctl.operations.rebuild.plan import choose
    from outboxctl.operations.rebuild.projected import declared

    name = chosen.source.name
    if not name:
        return given or choose("default")
    if given and not (as_usual and rebuilds.active_rebuild(connection, chosen.name) is None):
        return given
    return declared(connection, named(connection, name))
