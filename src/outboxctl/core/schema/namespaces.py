"""Schemas for isolated runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, urlencode, urlunsplit

import psycopg
from psycopg import sql

from outboxctl.core.conninfo import parameters
from outboxctl.core.database_errors import translate
from outboxctl.domain.errors import UsageError
from outboxctl.net.urls import mask, parse_url

# Sessions of a killed program hold locks on the schema until the server detects that it is gone.
END_SESSIONS = """SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE application_name = %s AND usename = current_user AND pid <> pg_catalog.pg_backend_pid()"""
BOUND = {"connect_timeout": "5"}  # seconds
OPTIONS, NAME = "options", "application_name"


def in_schema(url: str, own: str) -> str:
    """The URL with this schema as search path, and its name as the sessions' application_name."""
    parts = parse_url(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query |= {OPTIONS: f"{query.get(OPTIONS, '')} -csearch_path={own}".strip(), NAME: own}
    # libpq takes neither a plus for a blank nor a bare equals sign in a value.
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote, safe="")))


def create_schema(url: str, own: str) -> str:
    """Create a schema of this name; returns its URL (see `in_schema`).

    Raises UsageError where the role lacks the right, or where a pooler drops the search path, which would
    lead to other tables. UnreachableError where the server is unreachable.
    """
    inside = in_schema(url, own)
    _execute(url, "CREATE SCHEMA {}", own)
    if schema_of(inside) != own:
        _execute(url, "DROP SCHEMA {}", own)
        raise UsageError(
            f"{mask(url)} does not take the search path of a session: a pooler in transaction mode?",
            hint="set DATABASE_URL to PostgreSQL itself, not to the pooler before it",
        )
    return inside


def drop_schema(url: str, own: str) -> None:
    """Drop a schema of `create_schema` with its contents, and end its sessions; none is no error."""
    with _session(url, own) as connection:
        connection.execute(END_SESSIONS, [own])
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(own)))


def schema_of(url: str) -> str | None:
    """The schema in which a new table would be created; None for none, and where the server refuses."""
    try:
        with psycopg.connect(**(BOUND | parameters(url))) as connection:
            row = connection.execute("SELECT pg_catalog.current_schema()").fetchone()
    except psycopg.OperationalError:
        return None
    return str(row[0]) if row and row[0] else None


def _execute(url: str, statement: str, name: str) -> None:
    with _session(url, name) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def _session(url: str, name: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(**(BOUND | parameters(url)), autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise translate(error, name) from error
