"""Options that several commands share, and what they are turned into."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Database
    from outboxctl.settings import Settings

DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="PostgreSQL URL [env: DATABASE_URL].", show_default=False)
]
ElasticUrl = Annotated[
    str | None, typer.Option("--elastic-url", help="Sink URL or URLs [env: ELASTIC_URL].", show_default=False)
]
ElasticIndex = Annotated[
    str | None,
    typer.Option("--elastic-index", help="Index or alias [env: ELASTIC_INDEX].", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many rows.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, max=86_400, help="Seconds to try to get the tables' locks.")
]
MaxProcessing = Annotated[
    float | None,
    typer.Option(
        "--max-processing-seconds",
        help="Processing longer than this is stuck [env: OUTBOX_MAX_PROCESSING_SECONDS].",
        show_default=False,
    ),
]


def print_progress(text: str) -> None:
    """Progress, for whoever looks: on stderr."""
    typer.echo(text, err=True)


def settings(**flags: Any) -> "Settings":
    """All settings, with the flags given on this command line."""
    from outboxctl.settings import load, probable_misspellings

    found = load(**flags)
    for doubt in probable_misspellings():
        typer.echo(f"outboxctl: {doubt}", err=True)
    return found


@contextmanager
def database(
    settings: "Settings",
    *,
    connections: int = 1,
    longest: float | None = None,
    lock_timeout: float | None = None,
) -> "Iterator[Database]":
    """The configured database, closed at the end."""
    from outboxctl.core.database import Database

    db = Database(
        settings.require_database_url(),
        connections=connections,
        longest=longest,
        lock_timeout=lock_timeout,
        renew=lambda: settings.renewed().require_database_url(),
    )
    try:
        yield db
    finally:
        db.close()


@contextmanager
def checked_database(
    settings: "Settings",
    *,
    connections: int,
    longest: float | None = None,
    lock_timeout: float | None = None,
) -> "Iterator[Database]":
    """The same, after its environment marker was checked: for work of many transactions."""
    from outboxctl.core.schema.marker import checked

    with database(settings, connections=connections, longest=longest, lock_timeout=lock_timeout) as db:
        with checked(db, settings.environment):
            pass
        yield db
