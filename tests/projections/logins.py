"""Logins of a test's own, which are gone in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import psycopg


class Login(NamedTuple):
    """A role that may log in, and the URL by which it does."""

    name: str
    url: str


@contextmanager
def a_login(sql: psycopg.Connection, *grants: str) -> Iterator[Login]:
    """One with these rights (`SELECT ON shop.products`); what it owns in the end is the session's user's."""
    name, info = f"t{uuid4().hex[:12]}", sql.info
    sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'".encode())
    for grant in grants:
        sql.execute(f"GRANT {grant} TO {name}".encode())
    try:
        yield Login(name, f"postgresql://{name}:secret@{info.host}:{info.port}/{info.dbname}")
    finally:
        sql.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE".encode())
        sql.execute(f"DROP ROLE {name}".encode())
