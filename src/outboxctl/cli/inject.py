"""`inject`: rows put in on purpose, as the lab document does by hand."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting
from outboxctl.cli.options import Json, Yes, group, print_progress, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.core.database import Connection

app = group("Put rows in on purpose: bad ones, single ones, a load.")
Count = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many.")]
BAD_OP = "not-a-real-op"  # the lab document's


class EventKind(StrEnum):
    """What is wrong with an event or its row."""

    PLAIN = "plain"
    STALE = "stale"
    DUPLICATE = "duplicate"
    POISON = "poison"


OUTCOMES = {
    EventKind.PLAIN: "A worker sends the entity's source row, or a delete where there is none.",
    EventKind.STALE: "Each ends in done: the document follows the row, so the index gets version 2.",
    EventKind.DUPLICATE: "All end in done, with one document.",
    EventKind.POISON: "Each ends in failed (mapping); the other events of the batch are delivered.",
}


@app.command("bad-op")
def bad_op(count: Count = 1, yes: Yes = False, json: Json = False) -> None:
    """Insert events that fail for good: lab 3 of the lab document.

    Example: outboxctl inject bad-op --count 3
    """
    from outboxctl.core.operator import inject

    def insert(connection: "Connection") -> list[str]:
        return [
            inject.event(connection, entity_type="block", entity_id=str(uuid4()), op=BAD_OP, version=0)
            for _ in range(count)
        ]

    ids = _insert("bad events", insert, yes=yes, json=json)
    shown = f"show {ids[0]}" if len(ids) == 1 else "list"
    if not json:
        print_progress(f"Inserted {counted(count, 'event')} with the unknown op {BAD_OP!r}.")
        print_progress("Each fails at its first attempt (deterministic_exception).")
        print_progress(f"Next: outboxctl worker --drain; outboxctl failed {shown}")


@app.command()
def event(
    kind: Annotated[
        EventKind, typer.Option("--kind", help="What is wrong with it, if anything.")
    ] = EventKind.PLAIN,
    op: Annotated[str | None, typer.Option(help="Of plain ones: upsert or delete [default: upsert].")] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, max=1_000_000, help="How many [default: 1; duplicate: 2].")
    ] = None,
    entity_id: Annotated[
        str | None,
        parse.option("--entity-id", parse.uuid, help="Of a plain one: a UUID [default: new ones]."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Insert events: plain ones, which leave the source table alone, or rows whose event ends otherwise.

    stale: a row at version 2 whose event has version 1. duplicate: one row with several equal events.
    poison: a row whose `rank_score` is NaN, which no index takes.

    Example: outboxctl inject event --entity-id 11111111-1111-1111-1111-111111111111 --op delete

    Example: outboxctl inject event --kind poison
    """
    plain = {"--op": op, "--entity-id": entity_id}
    alien = [name for name, value in plain.items() if value is not None and kind is not EventKind.PLAIN]
    if alien:
        raise UsageError(f"{alien[0]} does not go with --kind {kind}")
    insert = _events(kind, entity_id, op or "upsert", count)
    try:
        ids = _insert(f"{kind} events", insert, yes=yes, json=json)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not json:
        print_progress(f"Inserted {counted(len(ids), 'event')} ({kind}). {OUTCOMES[kind]}")
        print_progress("Next: outboxctl worker --drain")


def _events(
    kind: EventKind, entity: str | None, op: str, count: int | None
) -> "Callable[[Connection], list[str]]":
    """What inserts events of this kind and returns their ids."""
    from outboxctl.core.operator import inject

    def plain(connection: "Connection") -> str:
        id_ = entity or str(uuid4())
        return inject.good(connection, entity_type="block", entity_id=id_, op=op, version=1)

    if kind is EventKind.DUPLICATE:
        return lambda connection: inject.duplicates(connection, count or 2)
    rows = {EventKind.PLAIN: plain, EventKind.STALE: inject.stale, EventKind.POISON: inject.poison}
    return lambda connection: [rows[kind](connection) for _ in range(count or 1)]


@app.command()
def load(
    scenario: Annotated[
        str, typer.Option("--scenario", envvar="LOADGEN_SCENARIO", help="create, update, delete or mixed.")
    ] = "create",
    total: Annotated[
        int,
        typer.Option("--total", "--count", envvar="TOTAL_OPS", min=1, max=100_000_000, help="Operations."),
    ] = 1_000,
    content_bytes: Annotated[
        int,
        typer.Option(
            "--content-bytes", envvar="CONTENT_BYTES", min=1, max=50_000_000, help="Text of each row."
        ),
    ] = 200,
    rate: Annotated[
        float,
        typer.Option(
            "--rate", envvar="RATE_PER_SEC", min=0, max=1e6, help="Operations a second; 0: no limit."
        ),
    ] = 100.0,
    concurrency: Annotated[
        int, typer.Option("--concurrency", envvar="CONCURRENCY", min=1, max=100, help="Writers.")
    ] = 20,
    per_transaction: Annotated[
        int, typer.Option("--per-transaction", min=1, max=10_000, help="Operations committed together.")
    ] = 1,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Write rows and their events, paced: the lab document's load generator.

    Example: outboxctl inject load --scenario create --total 3000 --rate 100 --concurrency 20
    """
    from outboxctl.drills.load import Generator, Load, Scenario

    name = Scenario(parse.one_of("--scenario", scenario, list(Scenario), "scenario"))
    if rate != rate or rate == float("inf"):  # noqa: PLR0124 - NaN is not itself
        raise UsageError("RATE_PER_SEC must be a finite number")
    plan = Load(name, total, content_bytes, rate, concurrency, per_transaction)
    with (
        acting(settings(), f"write {total:,} rows", yes=yes, connections=concurrency) as db,
        rendering.progress("Writing", total) as advance,
    ):
        done = Generator(db, plan, advance).run()
    text = f"{done.operations:,} operations in {rendering.age(done.seconds)}: {done.per_second:,.0f}/s"
    rendering.show(done, lambda: [text], json=json)
    if done.operations < total:
        raise typer.Exit(INTERRUPTED)


def _insert(what: str, insert: "Callable[[Connection], list[str]]", *, yes: bool, json: bool) -> list[str]:
    """Insert events in one transaction, print their ids and return them; what they are goes to stderr."""
    with acting(settings(), f"inject {what}", yes=yes) as db, db.begin() as connection:
        ids = insert(connection)
    if json:
        rendering.emit_json({"inserted": len(ids), "ids": ids})
    else:
        typer.echo("\n".join(ids))
    return ids
