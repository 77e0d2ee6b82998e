"""`inject`: rows put in on purpose, as the lab document does by hand."""

from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting
from outboxctl.cli.options import ChangeOptions, group, print_progress
from outboxctl.domain.errors import UsageError
from outboxctl.domain.lifecycle import OPS
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.core.database import Connection

app = group("Put rows in on purpose: bad ones, single ones, a load.")
Count = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many.")]
MOST_BYTES = 500_000_000  # a text of PostgreSQL ends at 1 GB, and the worker holds it several times over
OVER = 101 * 2**20  # http.max_content_length of Elasticsearch is 100 MiB unless somebody has set it


@app.command()
def stale(common: ChangeOptions, count: Count = 1) -> None:
    """Insert rows at version 2, each with an event of version 1, as if it came late.

    Each ends in done: the document follows the row, so the index gets version 2.

    Example: outboxctl inject stale --count 3
    """
    from outboxctl.core.operator import inject

    _insert("stale events", inject.stale, count, common)
    _explain("Each ends in done: the document follows the row, so the index gets version 2.", common)


@app.command()
def duplicate(
    common: ChangeOptions,
    count: Annotated[int, typer.Option(min=2, max=1_000_000, help="Events of it.")] = 2,
) -> None:
    """Insert one row with several equal events: all end in done, with one document.

    Example: outboxctl inject duplicate --count 5
    """
    from outboxctl.core.operator import inject

    _insert_all("duplicate events", lambda connection: inject.duplicates(connection, count), common)
    _explain("All end in done, with one document.", common)


@app.command()
def poison(common: ChangeOptions, count: Count = 1) -> None:
    """Insert rows whose document the index refuses: their `rank_score` is NaN, which is no JSON number.

    Each ends in failed with `mapping`; the other events of the batch are delivered.

    Example: outboxctl inject poison
    """
    from outboxctl.core.operator import inject

    _insert("poison events", inject.poison, count, common)
    _explain("Each ends in failed (mapping); the other events of the batch are delivered.", common)


@app.command()
def oversized(
    common: ChangeOptions,
    count: Count = 1,
    size: Annotated[
        int,
        typer.Option("--bytes", min=1, max=MOST_BYTES, help="Of the row's text; beyond the sink's limit."),
    ] = OVER,
) -> None:
    """Insert rows that are larger than any request to the sink may be (100 MiB unless it is set otherwise).

    Each ends in failed with `payload_too_large`. The worker needs several times the bytes as memory.

    Example: outboxctl inject oversized --bytes 105906176
    """
    from outboxctl.core.operator import inject

    _insert("oversized events", partial(inject.oversized, size=size), count, common)
    _explain(
        f"Each ends in failed (payload_too_large) where the sink's limit is below {size:,} bytes.", common
    )


@app.command("bad-op")
def bad_op(
    common: ChangeOptions,
    count: Count = 1,
    op: Annotated[str, typer.Option(help="The op that no worker knows.")] = "not-a-real-op",
) -> None:
    """Insert events that fail for good: lab 3 of the lab document.

    Example: outboxctl inject bad-op --count 3
    """
    from outboxctl.core.operator import inject

    def insert(connection: "Connection") -> str:
        return inject.event(connection, entity_type="block", entity_id=str(uuid4()), op=op, version=0)

    if parse.words("--op", op, 20) in OPS:
        raise UsageError(f"--op {op} is a good op", hint="use `outboxctl inject event` for good ones")
    ids = _insert("bad events", insert, count, common)
    _explain(f"Inserted {counted(count, 'event')} with the unknown op {op!r}.", common)
    _explain("Each fails at its first attempt (deterministic_exception).", common)
    shown = f"show {ids[0]}" if len(ids) == 1 else "list"
    _explain(f"Next: outboxctl worker --drain; outboxctl failed {shown}", common)


@app.command()
def event(
    common: ChangeOptions,
    op: Annotated[str, typer.Option(help="upsert or delete.")] = "upsert",
    count: Count = 1,
    entity_type: Annotated[str, typer.Option(help="Type of the entity.")] = "block",
    entity_id: Annotated[str | None, typer.Option(help="A UUID; new ones by default.")] = None,
    version: Annotated[int, typer.Option("--event-version", min=0, help="The event's version.")] = 1,
) -> None:
    """Insert events alone, without touching the source table.

    Example: outboxctl inject event --entity-id 11111111-1111-1111-1111-111111111111 --op delete
    """
    from outboxctl.core.operator import inject

    entity = parse.optional(parse.uuid, "--entity-id", entity_id)
    kind = parse.words("--entity-type", entity_type, 50)

    def insert(connection: "Connection") -> str:
        id_ = entity or str(uuid4())
        return inject.good(connection, entity_type=kind, entity_id=id_, op=op, version=version)

    try:
        _insert("events", insert, count, common)
    except ValueError as error:
        raise UsageError(str(error)) from None
    _explain(f"Inserted {counted(count, 'event')} ({op}, version {version}).", common)
    _explain("A worker sends the entity's source row, or a delete where there is none.", common)
    _explain("Next: outboxctl worker --drain", common)


@app.command()
def load(
    common: ChangeOptions,
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
        acting(common.settings(), f"write {total:,} rows", yes=common.yes, connections=concurrency) as db,
        rendering.progress("Writing", total) as advance,
    ):
        done = Generator(db, plan, advance).run()
    text = f"{done.operations:,} operations in {rendering.age(done.seconds)}: {done.per_second:,.0f}/s"
    rendering.show(done, lambda: [text], json=common.json)
    if done.operations < total:
        raise typer.Exit(INTERRUPTED)


def _insert(what: str, insert: "Callable[[Connection], str]", count: int, common: ChangeOptions) -> list[str]:
    return _insert_all(what, lambda connection: [insert(connection) for _ in range(count)], common)


def _insert_all(what: str, insert: "Callable[[Connection], list[str]]", common: ChangeOptions) -> list[str]:
    """Insert events in one transaction, print their ids and return them."""
    with acting(common.settings(), f"inject {what}", yes=common.yes) as db, db.begin() as connection:
        ids = insert(connection)
    if common.json:
        rendering.emit_json({"inserted": len(ids), "ids": ids})
    else:
        typer.echo("\n".join(ids))
    return ids


def _explain(text: str, common: ChangeOptions) -> None:
    """Say on stderr what will come of them: stdout has the ids alone, for scripts."""
    if not common.json:
        print_progress(text)
