"""`inject stale`, `duplicate`, `poison` and `oversized`: rows with one defect each."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.guards import Yes, acting
from outboxctl.cli.options import DatabaseUrl, Json, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection

Count = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many.")]
MOST_BYTES = 500_000_000  # a text of PostgreSQL ends at 1 GB, and the worker holds it several times over
OVER = 101 * 2**20  # http.max_content_length of Elasticsearch is 100 MiB unless somebody has set it


def stale(count: Count = 1, yes: Yes = False, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Insert rows at version 2, each with an event of version 1, as if it came late.

    Each ends in done: the document follows the row, so the index gets version 2.

    Example: outboxctl inject stale --count 3
    """
    from outboxctl.core.operator import inject

    text = "Each ends in done: the document follows the row, so the index gets version 2."
    with inserting("stale events", text, yes=yes, database_url=database_url, json=json) as (into, ids):
        ids.extend(inject.stale(into) for _ in range(count))


def duplicate(
    count: Annotated[int, typer.Option("--count", min=2, max=1_000_000, help="Events of it.")] = 2,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Insert one row with several equal events: all end in done, with one document.

    Example: outboxctl inject duplicate --count 5
    """
    from outboxctl.core.operator import inject

    text = "All end in done, with one document."
    with inserting("duplicate events", text, yes=yes, database_url=database_url, json=json) as (into, ids):
        ids.extend(inject.duplicates(into, count))


def poison(count: Count = 1, yes: Yes = False, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Insert rows whose document the index refuses: their `rank_score` is NaN, which is no JSON number.

    Each ends in failed with `mapping`, and costs its neighbours in the batch nothing.

    Example: outboxctl inject poison
    """
    from outboxctl.core.operator import inject

    text = "Each ends in failed (mapping); its neighbours in the batch are delivered."
    with inserting("poison events", text, yes=yes, database_url=database_url, json=json) as (into, ids):
        ids.extend(inject.poison(into) for _ in range(count))


def oversized(
    count: Count = 1,
    size: Annotated[
        int,
        typer.Option("--bytes", min=1, max=MOST_BYTES, help="Of the row's text; beyond the sink's limit."),
    ] = OVER,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Insert rows that are larger than any request to the sink may be (100 MiB unless it is set otherwise).

    Each ends in failed with `payload_too_large`. The worker needs several times the bytes as memory.

    Example: outboxctl inject oversized --bytes 105906176
    """
    from outboxctl.core.operator import inject

    text = f"Each ends in failed (payload_too_large) where the sink's limit is below {size:,} bytes."
    with inserting("oversized events", text, yes=yes, database_url=database_url, json=json) as (into, ids):
        ids.extend(inject.oversized(into, size=size) for _ in range(count))


@contextmanager
def inserting(
    what: str, *texts: str, yes: bool, database_url: str | None, json: bool
) -> "Iterator[tuple[Connection, list[str]]]":
    """A transaction, and a list for the ids of the events inserted in it, which are printed at the end.

    The `texts` say on stderr what becomes of them; a script reads the ids alone.
    """
    from outboxctl.cli import rendering

    ids: list[str] = []
    configured = settings(database_url=database_url)
    with acting(configured, f"inject {what}", yes=yes) as db, db.begin() as connection:
        yield connection, ids
    if json:
        rendering.emit_json({"inserted": len(ids), "ids": ids})
        return
    typer.echo("\n".join(ids))
    for text in texts:
        typer.echo(text, err=True)
