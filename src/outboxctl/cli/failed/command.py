"""`failed`: the events that nobody will deliver unless an operator says so."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import completion
from outboxctl.cli.failed.moves import MoveWords, move, order
from outboxctl.cli.failed.selection import (
    AtMost,
    By,
    DryRun,
    EntityType,
    ErrorReason,
    FailIfNone,
    Fingerprint,
    Ids,
    IdsFrom,
    Rate,
    Since,
    Until,
    Why,
    selection,
)
from outboxctl.cli.groups import group
from outboxctl.cli.guards import Yes, reading
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.core.operator.selection import Selection
    from outboxctl.settings import Settings

app = group("Failed events: what failed and why, and closing what is not worth a replay.")
DISCARD = MoveWords("discard", "discarded", "are done now, undelivered", "would be done, undelivered")
Groups = Annotated[
    int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many groups or rows.")
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="The events of this fingerprint, one by one.",
        show_default=False,
        autocompletion=completion.fingerprints,
    ),
]


@app.command("list")
def list_(
    group: Group = None,
    limit: Groups = 20,
    id: Ids = None,  # noqa: A002 - the flag's name is the contract's
    ids_from: IdsFrom = None,
    error_reason: ErrorReason = None,
    fingerprint: Fingerprint = None,
    entity_type: EntityType = None,
    since: Since = None,
    until: Until = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Show what failed by cause: numbers, ids and quoted values of the errors are folded.

    Example: outboxctl failed list --since 2026-02-03
    """
    from outboxctl.cli import parse

    if group is not None and fingerprint is not None:
        raise UsageError("--group and --fingerprint both name a cause", hint="give one of them")
    chosen = selection(
        ids=id,
        ids_from=ids_from,
        error_reason=error_reason,
        fingerprint=fingerprint if group is None else parse.fingerprint("--group", group),
        entity_type=entity_type,
        since=since,
        until=until,
        limit=limit,
    )
    given = settings(database_url=database_url)
    (_groups if group is None else _rows)(given, chosen, limit, json=json)


@app.command()
def show(
    event_id: Annotated[
        str, typer.Argument(metavar="ID", help="The event's id.", autocompletion=completion.failed_ids)
    ],
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Show an event of any status, its source row, its document in the index, and how they differ.

    Example: outboxctl failed show 2cf0f5e7-ef32-5c43-91b6-e065a8f204c9
    """
    from outboxctl.cli import parse, rendering
    from outboxctl.cli.failed.view import advice, view
    from outboxctl.core.operator.audit import replayed_as
    from outboxctl.core.operator.failed import event_by_id
    from outboxctl.domain.lifecycle import Status
    from outboxctl.operations.failed.inspect import inspect

    id_ = parse.uuid("ID", event_id)
    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    with reading(given) as connection:
        event = event_by_id(connection, id_)
        login = replayed_as(connection, id_) if event and event.row["last_replayed_at"] else None
    if event is None:
        raise UsageError(
            f"there is no event {id_}", hint="`outboxctl failed list --group …` lists failed ones"
        )
    seen = inspect(event, given, replayed_as=login)
    if json:
        rendering.emit_json(seen)
        return
    out = rendering.console()
    out.print(view(seen))
    if event.row["status"] == Status.FAILED:
        out.print()
        out.print(advice(event.row["error_reason"], f"--id {id_}"), soft_wrap=True)


@app.command()
def discard(
    by: By,
    reason: Why,
    limit: AtMost = None,
    dry_run: DryRun = False,
    id: Ids = None,  # noqa: A002 - the flag's name is the contract's
    ids_from: IdsFrom = None,
    error_reason: ErrorReason = None,
    fingerprint: Fingerprint = None,
    entity_type: EntityType = None,
    since: Since = None,
    until: Until = None,
    rate: Rate = None,
    fail_if_none: FailIfNone = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Close failed events for good without delivering them, in whole batches, each audited.

    Example: outboxctl failed discard --by alice --reason "test data" --error-reason mapping --dry-run
    """
    from outboxctl.core.operator import moves

    chosen = selection(
        ids=id,
        ids_from=ids_from,
        error_reason=error_reason,
        fingerprint=fingerprint,
        entity_type=entity_type,
        since=since,
        until=until,
        limit=limit,
    )
    if not chosen.as_filter():
        hint = "give --id, --error-reason, --fingerprint, --entity-type, --since, --until or --limit"
        raise UsageError("discard closes events for good: say which", hint=hint)
    asked = order(
        by=by, reason=reason, dry_run=dry_run, rate=rate, yes=yes, fail_if_none=fail_if_none, json=json
    )
    move(DISCARD, moves.discard, chosen, asked, settings(database_url=database_url))


def _groups(given: "Settings", chosen: "Selection", limit: int, *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.failed.view import advice, cause
    from outboxctl.core.operator.failed import failed_groups
    from outboxctl.domain.failures import REPLAY_FAILS

    with reading(given) as connection:
        found = failed_groups(connection, chosen)
    failed = sum(group.count for group in found)
    if json:
        shown = [asdict(group) for group in found[:limit]]
        rendering.emit_json({"failed": failed, "causes": len(found), "groups": shown})
        return
    out = rendering.console()
    out.print(f"{counted(failed, 'failed event')}, {counted(len(found), 'cause')}")
    for each in found[:limit]:
        out.print(cause(each))
    if len(found) > limit:
        out.print(f"and {len(found) - limit:,} more causes (--limit)")
    # The largest cause that a replay can help, and the largest that it cannot.
    first = {group.error_reason in REPLAY_FAILS: group for group in reversed(found)}
    for _, each in sorted(first.items()):
        said = advice(each.error_reason, f"--fingerprint {each.fingerprint}")
        out.print()
        out.print(said, soft_wrap=True)  # to be copied in one piece


def _rows(given: "Settings", chosen: "Selection", limit: int, *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.failed.view import failure
    from outboxctl.core.operator.failed import failed_rows

    with reading(given) as connection:
        found = failed_rows(connection, chosen)
    if json:
        rendering.emit_json({"events": [asdict(row) for row in found]})
        return
    out = rendering.console()
    for row in found:
        out.print(failure(row), "")
    if not found:
        out.print("Failed: none of this cause")
    if len(found) == limit:
        out.print(f"at most {limit:,} are shown (--limit)")
