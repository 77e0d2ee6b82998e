"""`failed`: the events that nobody will deliver unless an operator says so."""

import typer

from outboxctl.cli.options import DatabaseUrl, Json, settings, transaction
from outboxctl.cli.selection import (
    AtMost,
    By,
    DryRun,
    EntityType,
    ErrorReason,
    Ids,
    Since,
    Until,
    Why,
    selection,
    show,
)
from outboxctl.errors import UsageError

app = typer.Typer(help="Failed events: close those that are not worth a replay.", no_args_is_help=True)
SENTENCE = ("are done now, undelivered", "would be done, undelivered (dry run, nothing changed)")


@app.callback()
def _group() -> None:
    pass  # keeps `discard` a subcommand while it is the only one


@app.command()
def discard(
    by: By,
    reason: Why,
    limit: AtMost = None,
    dry_run: DryRun = False,
    id: Ids = None,  # noqa: A002 - the flag's name is the contract's
    error_reason: ErrorReason = None,
    entity_type: EntityType = None,
    since: Since = None,
    until: Until = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Close failed events without delivering them, audited in the same transaction.

    Example: outboxctl failed discard --by alice --reason "test data" --error-reason mapping --dry-run
    """
    from outboxctl.cli import parse
    from outboxctl.core import discard as discards
    from outboxctl.core import replay

    chosen = selection(id, error_reason, entity_type, since, until, limit)
    if not chosen.as_filter():
        hint = "give --id, --error-reason, --entity-type, --since, --until or --limit"
        raise UsageError("discard closes events for good: say which", hint=hint)
    by, reason = parse.words("--by", by, 120), parse.words("--reason", reason, 2_000)
    with transaction(settings(database_url=database_url)) as connection:
        plan = replay.plan(connection, chosen)
        act = None if dry_run else discards.apply(connection, plan, by=by, reason=reason)
    show(plan, act, "discarded", SENTENCE, json=json)
