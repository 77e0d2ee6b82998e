"""Databases and schemas of their own, for runs that shall meet nobody else's rows."""

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from outboxctl.core.database import translate
from outboxctl.urls import check_database_url


def create_database(url: str, name: str, *, like: str | None = None) -> str:
    """Create a database whose name begins with `name`, on the server of `url`; returns its URL.

    It is empty, or a copy of the database whose URL is `like`, to which nobody may be connected.

    Raises UsageError where the role may not, UnreachableError where the server is away.
    """
    own = f"{name[:50]}_{uuid4().hex[:8]}"
    template = urlsplit(like).path[1:] if like else "template0"
    _execute(url, sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'"), own, template)
    return urlunsplit(urlsplit(url)._replace(path=f"/{own}"))


def drop_database(url: str, own: str) -> None:
    """Drop what `create_database` returned, whoever is still connected; `url` is that of another one."""
    _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), urlsplit(own).path[1:])


def _execute(url: str, statement: sql.SQL, *names: str) -> None:
    try:
        with psycopg.connect(check_database_url(url), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))
    except psycopg.Error as error:
        raise translate(error, names[0]) from error
