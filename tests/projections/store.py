"""A store whose products become documents, by a declaration file and the real commands."""

import json
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg

from outboxctl.core.database import Database
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow
from outboxctl.operations.projection.declaration import read
from outboxctl.operations.projection.plan import plan
from outboxctl.operations.projection.resolved import Planned
from processes import Cli

TABLES = """
CREATE SCHEMA store;
CREATE TYPE store.color AS ENUM ('red', 'blue');
CREATE TABLE store.categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE store.products (
    id bigint PRIMARY KEY, tenant text NOT NULL, title text, price numeric(10, 2), sold boolean,
    color store.color, category_id int REFERENCES store.categories, made timestamptz,
    "Odd ""%Name" int NOT NULL UNIQUE DEFAULT 1, ratio float8 NOT NULL UNIQUE DEFAULT random(),
    moment timestamptz NOT NULL UNIQUE DEFAULT clock_timestamp(), maybe int UNIQUE, unused text
);
CREATE TABLE store.reviews (
    id int PRIMARY KEY, product_id bigint REFERENCES store.products ON DELETE CASCADE, stars int, body text
);
CREATE INDEX ON store.reviews (product_id);
CREATE INDEX ON store.products (category_id);
CREATE TABLE store.currencies (code text PRIMARY KEY, rate numeric);
CREATE VIEW store.documents AS
SELECT p.id, p.tenant, p.title, p.price, p.sold, p.color, p.made, c.name AS category,
    (SELECT json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id)
        FROM store.reviews r WHERE r.product_id = p.id) AS reviews
FROM store.products p LEFT JOIN store.categories c ON c.id = p.category_id
"""
FILE = """
[projections.product]
root = "store.products"
key = "id"
document = "store.documents"
index = "{index}"
"""
QUERY = '''query = """
SELECT p.id, p.title, (SELECT count(*) FROM store.reviews r WHERE r.product_id = p.id) AS reviews
FROM store.products p
"""'''
WHO = ("--by", "alice", "--reason", "search")
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger
WHERE NOT tgisinternal AND tgname LIKE 'outbox\\_%'
    AND tgrelid::regclass::text LIKE 'store.%'
ORDER BY 1, 2
"""


OWNED = """SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p', 'v') AND relnamespace = '{}'::regnamespace"""


def own(sql: psycopg.Connection, name: str, *schemas: str) -> None:
    """Make this login the owner of these schemas and their tables; by default of the store and the outbox."""
    for schema in schemas or ("store", "public"):
        sql.execute(f"ALTER SCHEMA {schema} OWNER TO {name}".encode())
        for (table,) in sql.execute(OWNED.format(schema).encode()).fetchall():
            sql.execute(f"ALTER TABLE {table} OWNER TO {name}".encode())


@dataclass
class Store:
    """The tables, the commands, the index, and the declaration file."""

    sql: psycopg.Connection
    cli: Cli
    index: str
    file: Path
    db: Database

    def look(self) -> Planned:
        """What `plan` finds without the index; UsageError where the file cannot be applied."""
        with self.db.begin() as connection:
            return plan(connection, None, read(self.file), built_in="none")[0]

    def follows(self) -> dict[str, Follow]:
        """How each table is followed, by its name."""
        return {str(each.table): each for each in self.look().projection.follow}

    def refusal(self) -> str:
        """Why the file cannot be applied, and the lines to paste; empty where it can."""
        try:
            self.look()
        except UsageError as error:
            return f"{error}; {error.hint}\n\n{error.block}"
        return ""

    def __call__(self, command: str, *args: str, **more: Any) -> CompletedProcess[str]:
        """`outboxctl projection COMMAND FILE …`."""
        return self.cli("projection", command, str(self.file), *args, **more)

    def write(self, old: str = "", new: str = "", *, after: str = "") -> None:
        """Change the file."""
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.file.write_text(text.replace(old, new) + after, encoding="utf-8")

    def query(self, select: str) -> None:
        """Have the documents be those of this query."""
        self.write('document = "store.documents"', f"query = '''{select}'''")

    def apply(self, *more: str) -> Any:
        """The report of an `apply` that must succeed."""
        done = self("apply", *WHO, "--json", *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def plan(self, *more: str) -> Any:
        """The report of a `plan`, and whether its exit code says so, too."""
        done = self("plan", "--json", *more)
        assert done.returncode in (0, 4), done.stderr
        report = json.loads(done.stdout)
        assert done.returncode == (4 if report["to_do"] else 0), done.stderr
        return report["projections"][0]

    def what(self, *more: str) -> list[str]:
        """What a plan would do."""
        return [step["what"] for step in self.plan(*more)["steps"]]

    def facts(self) -> Any:
        """What is in the database of projections: declarations, triggers, functions, views, server."""
        queries = (
            "SELECT name, definition FROM outbox_projections ORDER BY name",
            TRIGGERS,
            "SELECT proname, md5(prosrc) FROM pg_proc WHERE prosrc LIKE '%-- projections: %' ORDER BY 1",
            "SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c"
            " WHERE relkind = 'v' AND relname LIKE 'outbox\\_%' AND relpersistence = 'p' ORDER BY 1",
            "SELECT base, system_identifier, timeline FROM outbox_version_base",
        )
        return [self.sql.execute(query).fetchall() for query in queries]

    def events(self) -> list[Any]:
        """The projections' events that are there: name, key, follow."""
        return self.sql.execute(
            "SELECT entity_type, entity_key, follow FROM search_outbox_events ORDER BY created_at, id"
        ).fetchall()
