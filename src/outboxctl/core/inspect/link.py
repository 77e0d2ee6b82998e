"""The connection itself: what DATABASE_URL asks for, and what stands between us and the server."""

import os
from dataclasses import dataclass

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from outboxctl.core.database import Database, parameters, translate
from outboxctl.domain.errors import RefusedError

BACKEND = text("SELECT pg_catalog.pg_backend_pid()")


@dataclass(frozen=True)
class Link:
    """Hosts and sslmode as libpq will use them; sslmode `prefer` is its default."""

    hosts: tuple[str, ...]
    sslmode: str


def link(url: str) -> Link:
    """What a checked database URL, and libpq's own variables, say of the connection; nothing is opened.

    UsageError for a URL that libpq cannot read.
    """
    given = parameters(url)
    host = str(given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST") or "")
    mode = str(given.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    return Link(tuple(filter(None, host.split(","))), mode)


def shares_sessions(database: Database) -> bool:
    """Whether a pooler hands our server session to others between transactions.

    A session that is ours stays the same and is nobody else's. One connection asks for its server
    process, a second one holds a transaction open, the first asks again: behind a pooler in transaction
    mode either the second was given the first one's process, or the first has got another by now.
    RefusedError where there is no second connection to be had.
    """
    try:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as first:
            before = _backend(first)
            with database.engine.connect() as second, second.begin():
                return _backend(second) == before or _backend(first) != before
    except (SQLAlchemyError, psycopg.Error) as error:
        raise RefusedError(str(translate(error, database.name))) from None


def _backend(connection: Connection) -> int:
    return int(connection.execute(BACKEND).scalar_one())
