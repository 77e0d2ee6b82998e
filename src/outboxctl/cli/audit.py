"""`audit`: who did what to the events, when and why."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import completion
from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, Json, Limit, settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.core.operator.audit import AffectedEvent, AuditRow
    from outboxctl.settings import Settings


def audit(
    limit: Limit = 20,
    id: Annotated[  # noqa: A002 - as in replay
        str | None,
        typer.Option(
            "--id", help="One act: its events, and where they are now.", autocompletion=completion.audit_ids
        ),
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this: replay, undo, discard, repair, …")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only what this operator did.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only what ended at or after (ISO 8601; UTC if no zone).")
    ] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Show who replayed, undid, discarded or repaired what, when and why, newest first.

    Example: outboxctl audit --action replay --since 2026-02-03
    """
    from outboxctl.cli import parse
    from outboxctl.core.operator.audit import ACTIONS, recent_actions

    given = settings(database_url=database_url)
    if id is not None:
        _one(given, parse.uuid("--id", id), limit, json=json)
        return
    wanted: dict[str, Any] = {
        "action": None if action is None else parse.one_of("--action", action, ACTIONS, "action"),
        "by": None if by is None else parse.words("--by", by, 120),
        "since": None if since is None else parse.moment("--since", since),
    }
    with reading(given) as connection:
        rows = recent_actions(connection, limit=limit, **wanted)
    _show(rows, json=json)


def _show(rows: "Sequence[AuditRow]", *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.failed.view import act

    if json:
        rendering.emit_json({"audit": [asdict(row) for row in rows]})
        return
    out = rendering.console()
    for row in rows:
        out.print(act(row), "")
    if not rows:
        out.print("Audit: none")


def _one(given: "Settings", id_: str, limit: int, *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.core.operator import audit

    with reading(given) as connection:
        act = audit.action_by_id(connection, id_)
        if act is None:
            raise UsageError(f"there is no act {id_} in the audit", hint="`outboxctl audit` lists them")
        if json:
            rendering.emit_json_list({"act": asdict(act)}, "events", audit.events_of(connection, id_))
            return
        now, events = audit.states_of(connection, id_), list(audit.events_of(connection, id_, limit=limit))
    _view(act, now, events)


def _view(act: "AuditRow", now: dict[str, int], events: "Sequence[AffectedEvent]") -> None:
    from outboxctl.cli import rendering

    out = rendering.console()
    _show([act], json=False)
    out.print(rendering.counts("Events now", ("now", "events"), now))
    rows = [(event.id, event.now, event.error_reason) for event in events]
    out.print(rendering.table("Its events", ("id", "now", "reason before"), rows))
    left = sum(now.values()) - len(events)
    out.print(f"{f'and {left:,} more (--limit); ' if left else ''}--json has all of them and their errors")
