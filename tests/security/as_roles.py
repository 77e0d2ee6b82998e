"""Logins in the roles of `outboxctl roles`, or in none, on one test's database."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from outboxctl.core.schema.roles import Role, roles_sql


@dataclass
class Roles:
    """Makes them under names of its own: roles belong to the whole server."""

    sql: psycopg.Connection
    url: str
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}_")

    def login(self, name: str, role: Role | None = None) -> str:
        """The URL of `name`, in a role or in none."""
        member = SQL("IN ROLE {}").format(Identifier(self.prefix + role)) if role else SQL("")
        made = SQL("CREATE ROLE {} LOGIN PASSWORD 'secret' {}")
        self.sql.execute(made.format(Identifier(self.prefix + name), member))
        return at(self.url, self.prefix + name)

    def drop(self) -> None:
        """All of them, with their rights."""
        query = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)"
        for (name,) in self.sql.execute(query, [self.prefix]).fetchall():
            self.sql.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(name)))


def at(url: str, user: str, **options: str) -> str:
    """The URL for this user, whose password is `secret`; of another path with `options`."""
    parts = urlsplit(url)
    netloc = f"{quote(user, safe='')}:secret@{parts.hostname}:{parts.port}"
    query = "&".join(f"{name}={quote(value)}" for name, value in options.items())
    return urlunsplit(parts._replace(netloc=netloc, query=query or parts.query))


@contextmanager
def roles(sql: psycopg.Connection, url: str) -> Iterator[Roles]:
    """The groups are there; at the end they are dropped with every login."""
    made = Roles(sql, url)
    sql.execute(roles_sql(made.prefix, "public").encode())
    try:
        yield made
    finally:
        made.drop()
