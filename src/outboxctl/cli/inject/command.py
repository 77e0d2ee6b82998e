"""`inject`: rows put in on purpose, as the lab document does by hand."""

from typing import Annotated, Any

import typer

from outboxctl.cli.groups import group
from outboxctl.cli.guards import Yes, acting
from outboxctl.cli.inject import faulty_rows
from outboxctl.cli.inject.faulty_rows import Count, inserting
from outboxctl.cli.options import DatabaseUrl, Json, settings
from outboxctl.domain.printable import counted

app = group("Put rows in on purpose: bad ones, single ones, a load.")
for command in (faulty_rows.stale, faulty_rows.duplicate, faulty_rows.poison, faulty_rows.oversized):
    app.command()(command)


@app.command("bad-op")
def bad_op(
    count: Count = 1,
    op: Annotated[str, typer.Option("--op", help="The op that no worker knows.")] = "not-a-real-op",
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Insert events that fail for good: lab 3 of the lab document.

    Example: outboxctl inject bad-op --count 3
    """
    from uuid import uuid4

    from outboxctl.cli import parse
    from outboxctl.core.operator import inject
    from outboxctl.domain.errors import UsageError
    from outboxctl.domain.lifecycle import OPS

    if parse.words("--op", op, 20) in OPS:
        raise UsageError(f"--op {op} is a good op", hint="use `outboxctl inject event` for good ones")
    new = [str(uuid4()) for _ in range(count)]
    texts = (
        f"Inserted {counted(count, 'event')} with the unknown op {op!r}.",
        "Each fails at its first attempt (deterministic_exception).",
        f"Next: outboxctl worker --drain; outboxctl failed {f'show {new[0]}' if count == 1 else 'list'}",
    )
    row: dict[str, Any] = {"entity_type": "block", "op": op, "version": 0}
    with inserting("bad events", *texts, yes=yes, database_url=database_url, json=json) as (into, ids):
        ids.extend(inject.event(into, entity_id=str(uuid4()), event_id=id_, **row) for id_ in new)


@app.command()
def event(
    op: Annotated[str, typer.Option("--op", help="upsert or delete.")] = "upsert",
    count: Count = 1,
    entity_type: Annotated[str, typer.Option("--entity-type", help="Type of the entity.")] = "block",
    entity_id: Annotated[
        str | None, typer.Option("--entity-id", help="A UUID; new ones by default.", show_default=False)
    ] = None,
    version: Annotated[int, typer.Option("--event-version", min=0, help="The event's version.")] = 1,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Insert events alone, without touching the source table.

    Example: outboxctl inject event --entity-id 11111111-1111-1111-1111-111111111111 --op delete
    """
    from uuid import uuid4

    from outboxctl.cli import parse
    from outboxctl.core.operator import inject
    from outboxctl.domain.errors import UsageError

    entity = parse.uuid("--entity-id", entity_id) if entity_id is not None else None
    row: dict[str, Any] = {"entity_type": parse.words("--entity-type", entity_type, 50), "op": op}
    texts = (
        f"Inserted {counted(count, 'event')} ({op}, version {version}).",
        "A worker sends the entity's source row, or a delete where there is none.",
        "Next: outboxctl worker --drain",
    )
    try:
        with inserting("events", *texts, yes=yes, database_url=database_url, json=json) as (into, ids):
            new = (entity or str(uuid4()) for _ in range(count))
            ids.extend(inject.good(into, entity_id=id_, version=version, **row) for id_ in new)
    except ValueError as error:
        raise UsageError(str(error)) from None


@app.command()
def load(
    scenario: Annotated[
        str, typer.Option(envvar="LOADGEN_SCENARIO", help="create, update, delete or mixed.")
    ] = "create",
    total: Annotated[
        int,
        typer.Option("--total", "--count", envvar="TOTAL_OPS", min=1, max=100_000_000, help="Operations."),
    ] = 1_000,
    content_bytes: Annotated[
        int, typer.Option(envvar="CONTENT_BYTES", min=1, max=50_000_000, help="Text of each row.")
    ] = 200,
    rate: Annotated[
        float, typer.Option(envvar="RATE_PER_SEC", min=0, max=1e6, help="Operations a second; 0: no limit.")
    ] = 100.0,
    concurrency: Annotated[int, typer.Option(envvar="CONCURRENCY", min=1, max=100, help="Writers.")] = 20,
    per_transaction: Annotated[
        int, typer.Option(min=1, max=10_000, help="Operations committed together.")
    ] = 1,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Write rows and their events, paced: the lab document's load generator.

    Example: outboxctl inject load --scenario create --total 3000 --rate 100 --concurrency 20
    """
    from outboxctl.cli import rendering
    from outboxctl.domain.errors import UsageError
    from outboxctl.drills.load import Generator, Load, Scenario

    if scenario not in list(Scenario):
        raise UsageError(f"unknown scenario {scenario[:40]!r}", hint=f"one of: {', '.join(Scenario)}")
    if rate != rate or rate == float("inf"):  # noqa: PLR0124 - NaN is not itself
        raise UsageError("RATE_PER_SEC must be a finite number")
    plan = Load(Scenario(scenario), total, content_bytes, rate, concurrency, per_transaction)
    configured = settings(database_url=database_url)
    with (
        acting(configured, f"write {total:,} rows", yes=yes, connections=concurrency) as db,
        rendering.progress("Writing", total) as advance,
    ):
        achieved = Generator(db, plan, advance).run()
    if json:
        rendering.emit_json(achieved)
    else:
        took, achieved_rate = rendering.age(achieved.seconds), f"{achieved.per_second:,.0f}/s"
        typer.echo(f"{achieved.operations:,} operations in {took}: {achieved_rate}")
    if achieved.operations < total:
        raise typer.Exit(130)
