"""`rebuild`: a new index behind the alias, and the ways back."""

from typing import Annotated

import typer

from outboxctl.cli.failed.selection import DryRun
from outboxctl.cli.guards import Yes
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json
from outboxctl.domain.errors import UsageError

By = Annotated[
    str | None, typer.Option("--by", help="Who does it [default: the login name].", show_default=False)
]
Why = Annotated[
    str | None,
    typer.Option("--reason", help="Why (goes into the audit) [default: rebuild].", show_default=False),
]
MappingChoice = Annotated[
    str,
    typer.Option(
        "--mapping",
        help="`keep` that of the old index, `default` for the project's own, or a JSON file with "
        "`mappings`, `settings` or both.",
    ),
]
Grace = Annotated[str, typer.Option("--keep-old", help="How long the old index is kept: 24h, 7d.")]
AllowFailures = Annotated[
    bool, typer.Option("--allow-failures", help="Go on without documents that the new index refuses.")
]
KeepFailed = Annotated[
    bool, typer.Option("--keep-failed", help="Do not delete the new index if it refuses documents.")
]
Patience = Annotated[
    float, typer.Option("--patience", min=0, max=86_400, help="Seconds that the sink may be away.")
]
Status = Annotated[bool, typer.Option("--status", help="Show how far it is, and the latest ones.")]
Abort = Annotated[bool, typer.Option("--abort", help="End an interrupted one: delete its new index.")]
Rollback = Annotated[bool, typer.Option("--rollback", help="Back to the old index, while it is kept.")]
Cleanup = Annotated[bool, typer.Option("--cleanup", help="Delete old indexes that were kept long enough.")]


def rebuild(
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    mapping: MappingChoice = "keep",
    keep_old: Grace = "24h",
    allow_failures: AllowFailures = False,
    keep_failed: KeepFailed = False,
    patience: Patience = 60.0,
    status: Status = False,
    abort: Abort = False,
    rollback: Rollback = False,
    cleanup: Cleanup = False,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Build a new index from the database while events flow, and put it behind the alias at once.

    Killed or interrupted, the same command goes on where it stopped.

    Example: outboxctl rebuild --by alice --reason "new analyzer" --mapping new.json --yes
    """
    from outboxctl.cli.options import settings
    from outboxctl.cli.rebuild import steps as rebuilding

    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    modes = {"status": status, "abort": abort, "rollback": rollback, "cleanup": cleanup}
    chosen = [name for name, wanted in modes.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(f'--{name}' for name in chosen)} exclude each other: give one")
    if reason is None:
        reason = chosen[0] if chosen else "rebuild"
    desk = rebuilding.desk(
        given, by=by, reason=reason, keep_old=keep_old, yes=yes, dry_run=dry_run, json=json
    )
    if status:
        desk.status()
    elif abort:
        desk.abort()
    elif cleanup:
        desk.cleanup()
    elif rollback:
        desk.rollback(patience)
    else:
        desk.rebuild(mapping, patience, allow_failures=allow_failures, keep_failed=keep_failed)
