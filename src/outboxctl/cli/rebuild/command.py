"""`rebuild`: a new index behind the alias."""

from typing import Annotated

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import ByOrLogin, DryRun, IndexOfProjection, Json, ReasonOrCommand, Yes

Mapping = Annotated[
    str | None,
    typer.Option(
        help="`keep` that of the old index, `default` for the project's own (of a projection: as it is "
        "declared), or a JSON file with `mappings`, `settings` or both [default: keep; of a projection: "
        "default]."
    ),
]


def rebuild(
    projection: IndexOfProjection = None,
    mapping: Mapping = None,
    keep_old: Annotated[str, typer.Option(help="How long the old index is kept: 24h, 7d.")] = "24h",
    allow_failures: Annotated[
        bool, typer.Option("--allow-failures", help="Go on without documents that the new index refuses.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds that the search engine may be unreachable.")
    ] = 60.0,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Build a new index from the database while events flow, and put it behind the alias at once.

    Killed or interrupted, the same command goes on where it stopped. `index` has what comes after it:
    its progress, the way back, and the end of one that was interrupted. Of a declaration for several schemas,
    and where a column chooses the index (NAME:VALUE is one), each index is built, one after the other.

    Example: outboxctl rebuild --by alice --reason "new analyzer" --mapping new.json --yes
    """
    from outboxctl.cli.rebuild.session import members, opened
    from outboxctl.operations.rebuild.plan import plan

    grace = parse.duration("--keep-old", keep_old).total_seconds()
    more = {"allow_failures": allow_failures, "dry_run": dry_run, "json": json}

    for each in members(projection):  # several of a declaration for schemas, or for values of a column
        with opened("rebuild", each, by, reason, dry_run=dry_run, yes=yes) as work:
            name, sources = work.chosen.name, work.chosen.sources
            with work.db.begin() as connection:
                planned = plan(connection, work.client, name, mapping=mapping, sources=sources)
            code = work.carry_out(planned, grace=grace, patience=patience, **more)
        if code:
            raise typer.Exit(code)
