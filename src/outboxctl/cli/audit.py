"""`audit`: who did what to the events, when and why."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.guards import reading
from outboxctl.cli.options import Json, Limit, settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.core.operator.audit import AffectedEvent, AuditRow


def audit(
    limit: Limit = 20,
    audit_id: Annotated[
        str | None, parse.option("--id", parse.uuid, help="One act: its events, and their present status.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Only this: replay, undo, discard, repair, …")] = None,
    by: Annotated[
        str | None, parse.option("--by", parse.words, 120, help="Only what this operator did.")
    ] = None,
    since: Annotated[
        datetime | None,
        parse.option("--since", parse.moment, help="Only what ended at or after (ISO 8601; UTC if no zone)."),
    ] = None,
    json: Json = False,
) -> None:
    """Show who replayed, undid, discarded or repaired what, when and why, newest first.

    Example: outboxctl audit --action replay --since 2026-02-03
    """
    from outboxctl.core.operator.audit import ACTIONS, recent_actions

    if audit_id is not None:
        for name, value in {"--action": action, "--by": by, "--since": since}.items():
            if value is not None:
                hint = "leave one of them out"
                raise UsageError(f"--id names one act: {name} does not go with it", hint=hint)
        _show_one(audit_id, limit, json=json)
        return
    if action is not None:
        parse.one_of("--action", action, ACTIONS, "action")
    with reading(settings()) as connection:
        rows = recent_actions(connection, limit=limit, action=action, by=by, since=since)
    rendering.show({"audit": [asdict(row) for row in rows]}, lambda: _rows(rows), json=json)


def _rows(rows: "Sequence[AuditRow]") -> "Iterator[object]":
    from outboxctl.cli.failed.view import act

    for row in rows:
        yield from (act(row), "")
    if not rows:
        yield "Audit: none"


def _show_one(id_: str, limit: int, *, json: bool) -> None:
    from outboxctl.core.operator import audit

    with reading(settings()) as connection:
        act = audit.action_by_id(connection, id_)
        now = audit.states_of(connection, id_)
        events = list(audit.events_of(connection, id_, limit=None if json else limit))
    report = {"act": asdict(act), "events": [asdict(event) for event in events]}
    rendering.show(report, lambda: _one(act, now, events), json=json)


def _one(act: "AuditRow", now: dict[str, int], events: "Sequence[AffectedEvent]") -> "Iterator[object]":
    yield from _rows([act])
    yield rendering.counts("Events now", ("now", "events"), now)
    rows = [(event.id, event.now, event.error_reason) for event in events]
    yield rendering.table("Its events", ("id", "now", "reason before"), rows)
    left = sum(now.values()) - len(events)
    yield f"{f'and {left:,} more (--limit); ' if left else ''}--json has all of them and their errors"
