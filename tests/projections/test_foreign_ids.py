"""Documents whose id no key can be, for PostgreSQL has no such text, stop neither a sweep nor `verify`."""

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from processes import Cli
from projections.store import WHO
from servers import Servers, an_index, drop_database, new_database

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.things (id text PRIMARY KEY, n int);
INSERT INTO shop.things SELECT 'k' || n, n FROM generate_series(1, 5) n;
"""
NUL = "a\x00b"
EVERY_DOCUMENT = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, entity_key, follow, next_retry_at)
VALUES ('thing', gen_random_uuid(), 'upsert', '', -1, 'infinity')
"""


@pytest.fixture
def sql(servers: Servers) -> Iterator[psycopg.Connection]:
    """A database with five things."""
    url = new_database(servers.postgres)
    with closing(Database(url)) as db, psycopg.connect(url, autocommit=True) as connection:
        upgrade(db, None)
        connection.execute(TABLES)
        yield connection
    drop_database(servers.postgres, url)


@pytest.fixture
def things(
    sql: psycopg.Connection, engine: Elasticsearch, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The index of their projection, with documents of rows and others."""
    info = sql.info
    url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    monkeypatch.setitem(cli.env, "DATABASE_URL", url)
    with an_index(engine) as name, closing(Database(url)) as db:
        table = Relation("shop", "things")
        key = (KeyColumn("id", "pg_catalog.text"),)
        shop.put_in_force(db, Projection("thing", table, key, table, name))
        foreign = [NUL, "gone"]
        heads = [{"index": {"_index": name, "_id": id_}} for id_ in foreign]
        done = engine.bulk(operations=[part for head in heads for part in (head, {"n": 0})], refresh=True)
        assert not done["errors"]
        yield name


def test_a_sweep_goes_on_and_deletes_what_it_can_name(
    things: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(EVERY_DOCUMENT)
    cli.ok("worker", "--drain")
    assert shop.held(engine, things).keys() - {NUL} == {f"k{n}" for n in range(1, 6)}
    assert {row[0] for row in shop.rows(sql)} == {"done"}


def test_verify_lists_them_as_extra_and_a_repair_deletes_them(
    things: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.changed(sql, *(f"k{n}" for n in range(1, 6)), name="thing")
    cli.ok("worker", "--drain")
    done = cli("verify", "--projection", "thing", "--json")
    assert done.returncode == 4, done
    (report,) = json.loads(done.stdout)["projections"]
    assert {(each["kind"], each["id"]) for each in report["first"]} == {
        ("extra", NUL),
        ("extra", "gone"),
    }
    cli.ok("verify", "--projection", "thing", "--repair", *WHO, "--yes")
    cli.ok("worker", "--drain")
    assert shop.held(engine, things).keys() == {f"k{n}" for n in range(1, 6)}
    cli.ok("verify", "--projection", "thing")
    removed = sql.execute("SELECT sum(affected) FROM outbox_operator_audit WHERE action = 'repair'")
    assert removed.fetchone() == (2,)


def test_an_id_that_postgresql_cannot_hold_does_not_stop_a_sweep_of_other_keys(
    things: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    """Where one id is no number, each id becomes an event, but for those that no event can name."""
    sql.execute("DELETE FROM outbox_projections; TRUNCATE shop.things")
    sql.execute("ALTER TABLE shop.things ADD number int UNIQUE NOT NULL")
    with closing(Database(cli.env["DATABASE_URL"])) as db:
        table, key = Relation("shop", "things"), (KeyColumn("number", "pg_catalog.int4"),)
        shop.put_in_force(db, Projection("thing", table, key, table, things))
    engine.index(index=things, id="7", document={"n": 0}, refresh=True)
    sql.execute(EVERY_DOCUMENT)
    cli.ok("worker", "--drain")
    assert "7" not in shop.held(engine, things)
    done = sql.execute("SELECT status FROM search_outbox_events WHERE follow IS NOT NULL").fetchall()
    assert done == [("done",)]
