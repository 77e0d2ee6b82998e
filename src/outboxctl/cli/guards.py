"""The database as commands open it, and the checks before a change: read-only mode, and prod."""

import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import typer

from outboxctl.domain.errors import NotPermittedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection, Database
    from outboxctl.settings import Settings


@contextmanager
def database(settings: "Settings", *, connections: int = 1, **limits: Any) -> "Iterator[Database]":
    """The configured database, closed at the end; `limits` are those of a Database."""
    from outboxctl.core.database import Database

    def renewed() -> str:
        return settings.renewed().require_database_url()

    url = settings.require_database_url()
    with closing(Database(url, connections=connections, renew=renewed, **limits)) as db:
        yield db


@contextmanager
def checked_database(settings: "Settings", **limits: Any) -> "Iterator[Database]":
    """The same, after its environment marker was checked: for work of many transactions."""
    from outboxctl.core.schema.marker import checked

    with database(settings, **limits) as db:
        with checked(db, settings.environment):
            pass
        yield db


@contextmanager
def looking(settings: "Settings") -> "Iterator[Connection]":
    """One transaction, also in a database without our tables; a marker that is there is checked."""
    from outboxctl.core.schema.marker import check

    with database(settings) as db, db.begin() as connection:
        check(connection, settings.environment, db.name)
        yield connection


@contextmanager
def reading(settings: "Settings", *, longest: float | None = None) -> "Iterator[Connection]":
    """One transaction of at most `longest` seconds in which the server refuses every change."""
    from outboxctl.core.schema.marker import checked

    with database(settings, longest=longest) as db, checked(db, settings.environment) as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield connection


@contextmanager
def acting(
    settings: "Settings", what: str, *, yes: bool, connections: int = 1, checked: bool = True
) -> "Iterator[Database]":
    """The database for a command about to do `what`; UsageError: read-only, or prod without a yes.

    Unless it is `checked`, its schema may be missing, and its marker another one.
    """
    refuse_if_read_only(settings, what)
    opened = checked_database if checked else database
    with opened(settings, connections=connections) as db:
        confirm(settings, db, what, yes=yes)
        yield db


@contextmanager
def as_owner() -> "Iterator[None]":
    """For what no role of `outboxctl roles` may do: the hint names the owner of the tables."""
    try:
        yield
    except NotPermittedError as error:
        hint = "log in as the owner of the tables: none of the roles of `outboxctl roles` may do this"
        raise NotPermittedError(str(error), hint=hint, public=error.public) from error


def refuse_if_read_only(settings: "Settings", what: str) -> None:
    """Raise UsageError in read-only mode."""
    if settings.read_only:
        raise UsageError(f"OUTBOX_READ_ONLY is set: refusing to {what}", hint="unset it if you mean to")


def confirm(settings: "Settings", db: "Database", what: str, *, yes: bool, always: bool = False) -> None:
    """Ask on a terminal where the database or OUTBOX_ENV says prod, or `always`; else `--yes` is needed."""
    from outboxctl.core.schema import marker

    with db.begin() as connection:  # `db upgrade` asks before there is a marker
        prod = "prod" in (settings.environment, marker.read(connection))
    if yes or not (prod or always):
        return
    where = f"{db.name} is prod" if prod else db.name
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{where}: refusing to {what} unasked", hint="add --yes if you mean it")
    if not _confirmed(f"{where}. Really {what}?"):
        raise UsageError("nothing was changed")


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # ^C or ^D
        typer.echo(err=True)
        return False
