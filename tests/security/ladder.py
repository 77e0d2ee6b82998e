"""Logins for each role on a database whose tables a plain role owns and whose `public` is everybody's."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from processes import Cli, environment
from servers import drop_database, new_database


class Login(StrEnum):
    """Who logs in to PostgreSQL."""

    STRANGER = "a login in no role"
    VIEWER = "viewer"
    WORKER = "worker"
    OPERATOR = "operator"
    OWNER = "owner of the tables"


FAILED, PENDING, ACT = (uuid.UUID(int=number) for number in (0xFA11ED, 0xBE, 0xAC7))
PASSWORD = "hush"
# PostgreSQL 13 and 14 come like that: whoever may log in may create in `public`.
OPEN = "GRANT CREATE ON SCHEMA public TO PUBLIC"
MEMBERS = {
    Login.VIEWER: "viewer",
    Login.WORKER: "worker",
    Login.OPERATOR: "operator",
}
ROWS = f"""
INSERT INTO search_index (id, entity_type, entity_id, text, event_version)
VALUES (gen_random_uuid(), 'block', '{PENDING}', 'text', 1);
INSERT INTO search_outbox_events
    (id, entity_type, entity_id, op, event_version, status, error_reason, processed_at, lease_until)
VALUES ('{PENDING}', 'block', '{PENDING}', 'upsert', 1, 'pending', NULL, NULL, NULL),
    ('{FAILED}', 'block', gen_random_uuid(), 'upsert', 1, 'failed', 'mapping', NULL, NULL),
    (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'processing', NULL, NULL, '2020-01-01'),
    (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'done', NULL, '2020-01-01', NULL);
UPDATE search_outbox_events SET last_replayed_at = '2026-01-01' WHERE id = '{PENDING}';
INSERT INTO outbox_operator_audit (at, action, operator, reason, filters, act_id, affected, event_ids,
    before_reasons, before_errors, before_attempts, before_times)
VALUES ('2026-01-01', 'replay', 'bob', 'why', '{{}}', '{ACT}', 1, ARRAY['{PENDING}']::uuid[],
    ARRAY['mapping'], ARRAY['no number'], ARRAY[1], ARRAY['2026-01-01'::timestamptz]);
"""


@dataclass(frozen=True)
class Ladder:
    """A database, and logins whose names begin with `prefix`; `admin` is a superuser's URL of the server."""

    admin: str
    database: str
    prefix: str

    def user(self, login: Login) -> str:
        """The name of this login."""
        return f"{self.prefix}login_{login.name.lower()}"

    def url(self, login: Login) -> str:
        """Its URL."""
        parts = urlsplit(self.superuser)
        netloc = f"{self.user(login)}:{PASSWORD}@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc))

    @property
    def superuser(self) -> str:
        """The superuser's URL of this database."""
        return urlunsplit(urlsplit(self.admin)._replace(path=f"/{self.database}"))

    @contextmanager
    def copy(self) -> Iterator["Ladder"]:
        """The same rows and rights in a database of its own."""
        url = new_database(self.admin, template=self.database)
        made = replace(self, database=url.rpartition("/")[2])
        try:
            yield made
        finally:
            drop_database(self.admin, url)


@contextmanager
def ladder(admin: str, folder: Path) -> Iterator[Ladder]:
    """Roles from what `db roles` prints to the owner, who has migrated; all of it is gone afterwards."""
    url = new_database(admin)
    made = Ladder(admin, url.rpartition("/")[2], f"t{uuid.uuid4().hex[:8]}_")
    try:
        with psycopg.connect(url, autocommit=True) as sql:
            _owner(sql, made)
            owner = Cli(environment(DATABASE_URL=made.url(Login.OWNER), OUTBOX_ENV="test"), folder)
            owner.ok("db", "upgrade")
            script = owner.ok("db", "roles", "--sql", "--prefix", made.prefix)
            with psycopg.connect(made.url(Login.OWNER), autocommit=True) as own:
                own.execute(script.encode())
            _logins(sql, made)
            sql.execute(OPEN)
            sql.execute(ROWS.encode())
        yield made
    finally:
        drop_database(admin, url)
        _drop_roles(admin, made.prefix)


def _owner(sql: psycopg.Connection, made: Ladder) -> None:
    name = Identifier(made.user(Login.OWNER))
    sql.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(name, PASSWORD))
    sql.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(made.database), name))
    sql.execute(OPEN)


def _logins(sql: psycopg.Connection, made: Ladder) -> None:
    for login in (*MEMBERS, Login.STRANGER):
        group = (
            SQL("IN ROLE {}").format(Identifier(made.prefix + MEMBERS[login]))
            if login in MEMBERS
            else SQL("")
        )
        create = SQL("CREATE ROLE {} LOGIN PASSWORD {} {}")
        sql.execute(create.format(Identifier(made.user(login)), PASSWORD, group))


def _drop_roles(admin: str, prefix: str) -> None:
    with psycopg.connect(admin, autocommit=True) as sql:
        names = sql.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [prefix]
        ).fetchall()
        for (name,) in names:
            sql.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(name)))
