"""`inject stale`, `duplicate`, `poison` and `oversized`: good-looking rows that something is odd about."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.guards import Yes, acting
from outboxctl.cli.options import DatabaseUrl, Json, settings

if TYPE_CHECKING:
    from collections.abc import Callable

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

    _insert("stale events", inject.stale, count, yes=yes, database_url=database_url, json=json)
    foretell("Each ends in done: the document follows the row, so the index gets version 2.", json=json)


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

    given = settings(database_url=database_url)
    with acting(given, "inject duplicate events", yes=yes) as db, db.begin() as connection:
        ids = inject.duplicates(connection, count)
    show_ids(ids, json=json)
    foretell("All end in done, with one document.", json=json)


def poison(count: Count = 1, yes: Yes = False, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Insert rows whose document the index refuses: their `rank_score` is NaN, which is no JSON number.

    Each ends in failed with `mapping`, and costs its neighbours in the batch nothing.

    Example: outboxctl inject poison
    """
    from outboxctl.core.operator import inject

    _insert("poison events", inject.poison, count, yes=yes, database_url=database_url, json=json)
    foretell("Each ends in failed (mapping); its neighbours in the batch are delivered.", json=json)


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
    from functools import partial

    from outboxctl.core.operator import inject

    insert = partial(inject.oversized, size=size)
    _insert("oversized events", insert, count, yes=yes, database_url=database_url, json=json)
    foretell(
        f"Each ends in failed (payload_too_large) where the sink's limit is below {size:,} bytes.", json=json
    )


def _insert(
    what: str,
    insert: "Callable[[Connection], str]",
    count: int,
    *,
    yes: bool,
    database_url: str | None,
    json: bool,
) -> None:
    with (
        acting(settings(database_url=database_url), f"inject {what}", yes=yes) as db,
        db.begin() as connection,
    ):
        ids = [insert(connection) for _ in range(count)]
    show_ids(ids, json=json)


def show_ids(ids: list[str], *, json: bool) -> None:
    """Print the ids of inserted events."""
    from outboxctl.cli import rendering

    if json:
        rendering.emit_json({"inserted": len(ids), "ids": ids})
    else:
        typer.echo("\n".join(ids))


def foretell(text: str, *, json: bool) -> None:
    """Say on stderr what will come of them: beside the ids, which a script reads alone."""
    if not json:
        typer.echo(text, err=True)
