"""`failed`: the events that stay undelivered until an operator replays or discards them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.failed import moves, undo
from outboxctl.cli.failed.moves import MoveWords, move, selection
from outboxctl.cli.guards import reading
from outboxctl.cli.options import (
    By,
    DryRun,
    Json,
    Limit,
    OfProjection,
    OfType,
    Reason,
    Yes,
    audited,
    group,
    settings,
)
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import REPLAY_FAILS
from outboxctl.domain.lifecycle import Status
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.core.operator.selection import Group
    from outboxctl.core.stats.snapshot import EventRow

app = group("Failed events: what failed and why, closing what is not worth a replay, undoing one.")
app.command("undo")(undo.undo)
REPLAY = MoveWords("replay", "replayed", "went back to pending", "would go back to pending")
DISCARD = MoveWords("discard", "discarded", "are done now, undelivered", "would be done, undelivered")


@app.command("list")
def list_(
    error_reason: moves.OfReason = None,
    fingerprint: moves.OfCause = None,
    entity_type: OfType = None,
    projection: OfProjection = None,
    since: moves.Since = None,
    until: moves.Until = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show what failed by cause; with --fingerprint the events of one cause, one by one.

    Example: outboxctl failed list --since 2026-02-03
    """
    from outboxctl.core.operator.failed import failed_rows
    from outboxctl.core.operator.selection import failed_groups

    chosen = selection(None, error_reason, fingerprint, entity_type, projection, since, until, limit)
    with reading(settings()) as connection:
        if fingerprint is None:
            groups = failed_groups(connection, chosen)
            rendering.show(causes_json(groups, limit), lambda: cause_lines(groups, limit), json=json)
        else:
            rows = failed_rows(connection, chosen)
            rendering.show({"events": [*map(asdict, rows)]}, lambda: _rows(rows, limit), json=json)


@app.command()
def show(
    id_: Annotated[str, parse.argument("ID", parse.uuid, help="The event's id.")], json: Json = False
) -> None:
    """Show an event of any status, its source row, its document in the index, and how they differ.

    Of a declared projection's event: its key, and its document as the view has it now.

    Example: outboxctl failed show 2cf0f5e7-ef32-5c43-91b6-e065a8f204c9
    """
    from outboxctl.cli.failed.view import advice, view
    from outboxctl.core.operator.failed import event_by_id
    from outboxctl.operations.inspection import inspect

    configured = settings()
    with reading(configured) as connection:
        event = event_by_id(connection, id_)
    if event is None:
        hint = "`outboxctl failed list --fingerprint …` lists failed ones"
        raise UsageError(f"there is no event {id_}", hint=hint)
    inspection = inspect(event, configured, lambda: reading(configured))
    lines: list[object] = [view(inspection)]
    if event.row["status"] == Status.FAILED:
        lines += ["", advice(event.row["error_reason"], f"--id {id_}")]
    rendering.show(inspection, lambda: lines, json=json)


@app.command()
def discard(
    by: By,
    reason: Reason,
    ids: moves.Ids = None,
    error_reason: moves.OfReason = None,
    fingerprint: moves.OfCause = None,
    entity_type: OfType = None,
    projection: OfProjection = None,
    since: moves.Since = None,
    until: moves.Until = None,
    limit: moves.AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Close failed events for good without delivering them, in whole batches, each audited.

    Example: outboxctl failed discard --by alice --reason "test data" --error-reason mapping --dry-run
    """
    from outboxctl.core.operator.moves import discard as apply

    chosen = selection(ids, error_reason, fingerprint, entity_type, projection, since, until, limit)
    if not chosen.as_filter():
        names = "--error-reason, --fingerprint, --entity-type, --projection, --since, --until"
        hint = f"give --id, {names} or --limit"
        raise UsageError("discard closes events for good: say which", hint=hint)
    move(DISCARD, apply, chosen, audited(by, reason), dry_run=dry_run, yes=yes, json=json)


def replay(
    by: By,
    reason: Reason,
    ids: moves.Ids = None,
    error_reason: moves.OfReason = None,
    fingerprint: moves.OfCause = None,
    entity_type: OfType = None,
    projection: OfProjection = None,
    since: moves.Since = None,
    until: moves.Until = None,
    limit: moves.AtMost = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=1_000_000, help="At most this many events a second.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put failed events back to pending, in whole batches, each audited in its own transaction.

    ^C ends it after the current batch. `failed undo AUDIT_ID` takes back what is not delivered yet.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.core.operator.moves import replay as apply

    chosen = selection(ids, error_reason, fingerprint, entity_type, projection, since, until, limit)
    move(REPLAY, apply, chosen, audited(by, reason), rate=rate, dry_run=dry_run, yes=yes, json=json)


def causes_json(groups: "Sequence[Group]", limit: int) -> dict[str, object]:
    """Return what `failed list --json` prints."""
    failures = sum(group.count for group in groups)
    return {"failed": failures, "causes": len(groups), "groups": [asdict(each) for each in groups[:limit]]}


def cause_lines(groups: "Sequence[Group]", limit: int) -> "Iterator[object]":
    """Return what `failed list` prints, the most frequent causes first."""
    from outboxctl.cli.failed.view import advice, cause

    events = sum(group.count for group in groups)
    yield f"{counted(events, 'failed event')}, {counted(len(groups), 'cause')}"
    yield from map(cause, groups[:limit])
    if len(groups) > limit:
        yield f"and {len(groups) - limit:,} more causes (--limit)"
    # The largest cause that a replay can help, and the largest that it cannot.
    first = {each.error_reason in REPLAY_FAILS: each for each in reversed(groups)}
    for _, each in sorted(first.items()):
        yield from ("", advice(each.error_reason, f"--fingerprint {each.fingerprint}"))


def _rows(rows: "Sequence[EventRow]", limit: int) -> "Iterator[object]":
    from outboxctl.cli.failed.view import failure

    said = None
    for row in rows:
        yield failure(row, said=said)
        yield ""
        said = row.error
    if not rows:
        yield "Failed: none of this cause"
    if len(rows) == limit:
        yield f"at most {limit:,} are shown (--limit)"
