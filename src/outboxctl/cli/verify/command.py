"""`verify`: does the index say what the database says? And its repair."""

from collections.abc import Mapping
from typing import Annotated

import typer

from outboxctl.cli.failed.selection import DryRun
from outboxctl.cli.guards import Yes, login
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings
from outboxctl.cli.verify.progress import ComparisonOptions, foretell, look, repair_and_compare
from outboxctl.domain.errors import UsageError

VersionsOnly = Annotated[
    bool, typer.Option("--versions-only", help="Compare versions but no content: twice as fast.")
]
Full = Annotated[
    bool, typer.Option("--full", help="Read everything, also where nothing has changed since they agreed.")
]
Mend = Annotated[bool, typer.Option("--repair", help="Enqueue events for what differs.")]
KeepForeign = Annotated[
    bool,
    typer.Option(
        "--keep-foreign", help="Leave documents whose id no event can name; else a repair deletes them."
    ),
]
Who = Annotated[
    str | None, typer.Option("--by", help="Who repairs [default: the login name].", show_default=False)
]
Why = Annotated[
    str | None,
    typer.Option("--reason", help="Why (goes into the audit) [default: repair].", show_default=False),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        min=0.1,
        max=86_400,
        help="After a repair wait at most so many seconds for its delivery, then compare again.",
        show_default=False,
    ),
]
Shown = Annotated[
    int, typer.Option("--limit", min=0, max=1_000_000, help="Show at most so many of them; all are counted.")
]


def verify(
    versions_only: VersionsOnly = False,
    full: Full = False,
    repair: Mend = False,
    by: Who = None,
    reason: Why = None,
    keep_foreign: KeepForeign = False,
    dry_run: DryRun = False,
    wait: Wait = None,
    yes: Yes = False,
    limit: Shown = 20,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Compare search_index with the index, entity by entity; exit 4 where they differ.

    With --repair what differs is enqueued as ordinary, audited events, which a worker delivers; rows
    below the version in the index are raised to it. Documents whose id no event can name are deleted
    from the index. --dry-run counts all that. Exit 0 if nothing was left out. Entities that events are
    under way for are counted apart.

    Example: outboxctl verify --repair --by alice --reason "restored from a snapshot" --dry-run
    """
    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    flags = {"--by": by, "--reason": reason, "--wait": wait}
    _no_idle(flags | {"--keep-foreign": keep_foreign, "--dry-run": dry_run}, repair=repair)
    how = ComparisonOptions(not versions_only, full, limit, json, not keep_foreign)
    if not repair:
        raise typer.Exit(look(given, how))
    who = _who(by, reason)
    raise typer.Exit(
        foretell(given, how) if dry_run else repair_and_compare(given, how, *who, wait=wait, yes=yes)
    )


def _no_idle(flags: Mapping[str, object], *, repair: bool) -> None:
    """Refuse what belongs to a repair where there is none."""
    idle = next((flag for flag, value in flags.items() if value not in (None, False)), None)
    if idle and not repair:
        raise UsageError(f"{idle} belongs to a repair", hint="add --repair, or leave it out")


def _who(by: str | None, reason: str | None) -> tuple[str, str]:
    """Who repairs and why."""
    from outboxctl.cli import parse

    by = login() if by is None else by
    return parse.words("--by", by, 120), parse.words("--reason", reason or "repair", 2_000)
