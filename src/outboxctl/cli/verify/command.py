"""`verify`: compare the index with the database, and repair it."""

from typing import Annotated

import typer

from outboxctl.cli.options import ByOrLogin, DryRun, Json, ReasonOrCommand, Yes, audited, settings
from outboxctl.domain.errors import UsageError


def verify(
    projection: Annotated[
        str | None, typer.Option("--projection", help="Compare this projection only [default: all].")
    ] = None,
    versions_only: Annotated[
        bool,
        typer.Option(
            "--versions-only",
            help="Compare versions (of projections presence) where content cannot be compared; no quicker.",
        ),
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Enqueue events for what differs.")] = False,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    keep_foreign: Annotated[
        bool,
        typer.Option(
            "--keep-foreign", help="Leave documents whose id no event can name; else a repair deletes them."
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    limit: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Show at most so many of them; all are counted.")
    ] = 20,
    json: Json = False,
) -> None:
    """Compare search_index with the index, entity by entity; exit 4 where they differ.

    Then each declared projection with its own, or with --projection that one alone, by content. Where
    projections are in force and search_index has neither an index nor rows nor events, it is left out.

    With --repair what differs is enqueued as ordinary, audited events, which a worker delivers; rows
    below the version in the index are raised to it. Documents whose id no event can name are deleted
    from the index. --dry-run counts all that. Exit 0 if nothing was left out. Entities whose events are
    not delivered yet are counted apart.

    Example: outboxctl verify --repair --by alice --reason "restored from a snapshot" --dry-run
    """
    from outboxctl.cli.verify import progress

    given = {"--by": by, "--reason": reason, "--keep-foreign": keep_foreign, "--dry-run": dry_run}
    needless = [flag for flag, value in given.items() if value not in (None, False)]
    if needless and not repair:
        raise UsageError(f"{needless[0]} belongs to a repair", hint="add --repair, or leave it out")
    who = audited(by, reason or "repair") if repair else None
    options = progress.ComparisonOptions(
        not versions_only, limit, json, not keep_foreign, projection, who, dry_run
    )
    raise typer.Exit(progress.verify(settings(), options, yes=yes))
