"""`replay` and `audit`: failed events back to pending, and who did it when and why."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.options import DatabaseUrl, Json, Limit, settings, transaction

if TYPE_CHECKING:
    from outboxctl.core.replay import Replay, ReplayPlan

SHOWN = 20  # ids that a person sees; --json has them all


def replay(
    by: Annotated[str, typer.Option("--by", help="Who replays (goes into the audit).", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why (goes into the audit).", show_default=False)],
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="At most this many, oldest first.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be replayed.")] = False,
    id: Annotated[  # noqa: A002 - the flag's name is the contract's
        list[str] | None, typer.Option("--id", help="Only this event; repeatable.", show_default=False)
    ] = None,
    error_reason: Annotated[
        str | None,
        typer.Option(
            "--error-reason", help="Only this reason, such as mapping or connect.", show_default=False
        ),
    ] = None,
    entity_type: Annotated[
        str | None, typer.Option("--entity-type", help="Only this entity type.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Created at or after (ISO 8601; UTC if no zone).", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Created before (ISO 8601; UTC if no zone).", show_default=False),
    ] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Put failed events back to pending, audited in the same transaction.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.cli import parse
    from outboxctl.core import replay as replays

    selection = replays.Selection(
        ids=[parse.uuid("--id", value) for value in id or []],
        error_reason=parse.reason("--error-reason", error_reason) if error_reason is not None else None,
        entity_type=parse.words("--entity-type", entity_type, 50) if entity_type is not None else None,
        since=parse.moment("--since", since) if since is not None else None,
        until=parse.moment("--until", until) if until is not None else None,
        limit=limit,
    )
    by, reason = parse.words("--by", by, 120), parse.words("--reason", reason, 2_000)
    with transaction(settings(database_url=database_url)) as connection:
        plan = replays.plan(connection, selection)
        done = None if dry_run else replays.apply(connection, plan, by=by, reason=reason)
    _show_replay(plan, done, json=json)


def audit(limit: Limit = 20, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Show who replayed or discarded what, when and why, newest first."""
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


def _show_replay(plan: "ReplayPlan", done: "Replay | None", *, json: bool) -> None:
    from outboxctl.cli import render

    ids = plan.ids if done is None else done.ids
    if json:
        count = {"selected": len(ids)} if done is None else {"replayed": len(ids)}
        report = {"matched": plan.matched, **count, "dry_run": done is None, "ids": ids}
        render.emit_json(report | {"audit_id": done.audit_id if done else None, "by_reason": plan.by_reason})
        return
    out = render.console()
    verb = "would go back to pending (dry run, nothing changed)" if done is None else "went back to pending"
    out.print(f"{plan.matched:,} failed events match; {len(ids):,} {verb}.")
    if ids:
        out.print(render.counts("By reason", ("reason", "events"), plan.by_reason))
        rest = f" and {len(ids) - SHOWN:,} more (--json lists all)" if len(ids) > SHOWN else ""
        out.print("\n".join(ids[:SHOWN]) + rest)
    if done and done.audit_id:
        out.print(f"Audit {done.audit_id}")


def _words(filters: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in filters.items()) or "all"
