"""`replay` and `audit`: failed events back to pending, and who did it when and why."""

from outboxctl.cli.options import DatabaseUrl, Json, Limit, settings, transaction
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

SENTENCE = ("went back to pending", "would go back to pending (dry run, nothing changed)")


def replay(
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
    """Put failed events back to pending, audited in the same transaction.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.cli import parse
    from outboxctl.core import replay as replays

    chosen = selection(id, error_reason, entity_type, since, until, limit)
    by, reason = parse.words("--by", by, 120), parse.words("--reason", reason, 2_000)
    with transaction(settings(database_url=database_url)) as connection:
        plan = replays.plan(connection, chosen)
        act = None if dry_run else replays.apply(connection, plan, by=by, reason=reason)
    show(plan, act, "replayed", SENTENCE, json=json)


def audit(limit: Limit = 20, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Show who replayed or discarded what, when and why, newest first.

    Example: outboxctl audit --limit 5
    """
    from outboxctl.cli import render
    from outboxctl.core.audit import recent

    with transaction(settings(database_url=database_url)) as connection:
        rows = recent(connection, limit=limit)
    if json:
        from dataclasses import asdict

        render.emit_json({"audit": [asdict(row) for row in rows]})
        return
    columns = ("at", "action", "by", "events", "reason", "filters", "audit id")
    cells = [(r.at, r.action, r.operator, r.affected, r.reason, _words(r.filters), r.id) for r in rows]
    render.console().print(render.table("Audit", columns, cells) if rows else "Audit: none")


def _words(filters: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in filters.items()) or "all"
