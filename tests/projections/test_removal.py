"""`db drop` leaves what was there before; what a removal by hand leaves is found, with what drops it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from outboxctl.core.database import Database
from processes import Cli
from projections.store import FILE, TABLES, TRIGGERS, WHO, Store

# Whatever is not PostgreSQL's own, with what it is made of, and without numbers that no two databases share.
CATALOG: tuple[LiteralString, ...] = (
    "SELECT nspname, nspowner, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_'",
    "SELECT oid::regclass::text, relkind::text, relacl::text, reloptions::text FROM pg_class"
    " WHERE oid >= 16384 AND relkind <> 't' AND oid::regclass::text !~ 'pg_toast'",
    "SELECT oid::regprocedure::text FROM pg_proc WHERE oid >= 16384",
    "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE oid >= 16384",
    "SELECT oid::regtype::text, typtype::text FROM pg_type"
    " WHERE oid >= 16384 AND oid::regtype::text !~ 'pg_toast'",
    "SELECT attrelid::regclass::text, attname, atttypid::regtype::text, attacl::text FROM pg_attribute"
    " WHERE attrelid >= 16384 AND attrelid::regclass::text !~ 'pg_toast'",
    "SELECT evtname FROM pg_event_trigger",
)
# Of names like ours.
THEIRS = """
CREATE FUNCTION outbox_projections_report() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION outbox_workers_own(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
"""
OURS = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def catalog(sql: psycopg.Connection) -> list[list[tuple[object, ...]]]:
    return [sorted(sql.execute(query).fetchall(), key=str) for query in CATALOG]


@pytest.fixture
def bare_store(empty_url: str, cli: Cli, index: str, tmp_path: Path) -> Iterator[Store]:
    """The store in a database without an outbox."""
    file = tmp_path / "store.toml"
    file.write_text(FILE.format(index=f"{index}-products"), encoding="utf-8")
    own, db = Cli(cli.env | {"DATABASE_URL": empty_url}, tmp_path), Database(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute(TABLES)
        yield Store(sql, own, f"{index}-products", file, db)
    db.close()


def test_the_catalog_after_a_removal_is_that_of_before_the_installation(bare_store: Store) -> None:
    store, cli = bare_store, bare_store.cli
    store.sql.execute(THEIRS)
    before = catalog(store.sql)
    cli.ok("db", "upgrade")
    cli.ok("db", "notify", "on")
    store.sql.execute(cli.ok("db", "trigger").encode())
    store.apply()
    store.sql.execute("INSERT INTO search_index (entity_type, entity_id) VALUES ('a', gen_random_uuid())")
    refused = cli("db", "drop", "--yes")
    assert (refused.returncode, "projections are in force: product" in refused.stderr) == (2, True)
    cli.ok("projection", "drop", "product", *WHO)
    unasked = cli("db", "drop")
    assert (unasked.returncode, "add --yes if you mean it" in unasked.stderr) == (2, True)
    store.sql.execute("CREATE VIEW store.theirs AS SELECT text FROM search_index")
    depended_on = cli("db", "drop", "--yes")
    assert (depended_on.returncode, "theirs" in depended_on.stderr) == (2, True), depended_on.stderr
    store.sql.execute("DROP VIEW store.theirs")
    cli.ok("db", "drop", "--yes")
    assert catalog(store.sql) == before


def test_triggers_of_an_outbox_that_was_dropped_by_hand_are_named_and_dropped(store: Store) -> None:
    store.apply()
    for (table,) in store.sql.execute(OURS).fetchall():
        store.sql.execute(f"DROP TABLE {table} CASCADE".encode())
    upgraded = store.cli.ok("db", "upgrade")
    assert upgraded.count("run `outboxctl doctor`") == 3
    found = [each for each in findings(store) if each["id"] == "projection-triggers-left"]
    assert [each["severity"] for each in found] == ["error"] * 3
    store.sql.execute("DROP TABLE store.reviews CASCADE")
    found = [each for each in findings(store) if each["id"] == "projection-triggers-left"]
    bare = [each["what"] for each in found if each["what"].startswith("The function ")]
    assert len(bare) == 1, found
    assert bare[0].endswith(") is of no projection in force.")
    for each in found:
        store.sql.execute(each["mend"].encode())
    assert not store.sql.execute(TRIGGERS).fetchall()
    assert "run `outboxctl doctor`" not in store.cli.ok("db", "upgrade")


def test_triggers_of_a_projection_in_force_are_not_said_to_be_left(store: Store) -> None:
    store.apply()
    assert not [each for each in findings(store) if each["id"] == "projection-triggers-left"]


def findings(store: Store) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(store.cli("doctor", "--only", "database", "--json").stdout)[
        "findings"
    ]
    return listed
