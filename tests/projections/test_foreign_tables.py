"""A view over a table of another server: while that is away, its projection waits, and nothing fails."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg import conninfo

import shop
from outboxctl.core.database import Database
from processes import Worker, eventually
from servers import an_index

pytestmark = pytest.mark.slow(reason="another server beside this one")

SERVER = """
CREATE EXTENSION postgres_fdw;
CREATE TABLE shop.rates AS SELECT n AS id, n * 10 AS rate FROM generate_series(1, 50) n;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host '{host}', port '{port}', dbname '{dbname}');
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (user '{user}', password '{password}');
CREATE FOREIGN TABLE shop.far (id bigint, rate bigint) SERVER other
    OPTIONS (schema_name 'shop', table_name 'rates');
CREATE OR REPLACE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, NULL::text AS category, f.rate::int AS share, '[]'::json AS reviews
FROM shop.products p LEFT JOIN shop.far f ON f.id = p.id WHERE p.published;
INSERT INTO shop.products SELECT n, 'p', 1, 1 FROM generate_series(1, 50) n;
"""
AWAY = "ALTER SERVER other OPTIONS (SET port '1')"
HELD = "SELECT DISTINCT status, attempts, error_reason FROM search_outbox_events"


def test_its_events_wait_and_those_of_others_go_on(
    worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch, db: Database, url: str
) -> None:
    if not sql.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchone():
        pytest.skip("needs postgres_fdw")
    place = {"password": "", **conninfo.conninfo_to_dict(url)}
    sql.execute(shop.SCHEMA)
    sql.execute(SERVER.format(**place).encode())
    sql.execute(AWAY)
    with an_index(engine) as name:
        shop.put_in_force(db, shop.product(name))
        shop.changed(sql, *range(1, 51))
        worker(OUTBOX_OUTAGE_POLICY="hold", OUTBOX_MAX_BACKOFF_SECONDS="1")
        eventually(lambda: sql.execute(HELD).fetchall() == [("pending", 0, "config")])
        sql.execute(AWAY.replace("'1'", f"'{place['port']}'"))
        eventually(lambda: sql.execute(HELD).fetchall() == [("done", 1, None)])
        assert {each["share"] for each in shop.held(engine, name).values()} == set(range(10, 510, 10))
