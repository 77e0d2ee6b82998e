"""An error while documents are read is a row's, unless the session is lost or no read works at all."""

import json
from collections.abc import Callable
from typing import NamedTuple

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg import conninfo

import shop
from processes import Cli, Worker, eventually

FUNCTIONS = """
CREATE SEQUENCE shop.numbers;
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE FUNCTION shop.without_return() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION shop.raising(state text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'raised with %', state USING ERRCODE = state;
END $$;
"""
VIEW = """
CREATE OR REPLACE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, NULL::text AS category, {share} AS share, '[]'::json AS reviews
FROM shop.products p WHERE p.published;
"""


class Way(NamedTuple):
    """An expression that raises, and what PostgreSQL says then."""

    expression: str
    words: str


BY_STATE = ["08001", "08006", "25P02", "26000", "3F000", "38000", "42501", "42P01", "53100"]
BY_STATE += ["53200", "53300", "55000", "57P01", "57P03", "58030", "F0000", "XX000", "XX001", "ZZ999"]
WAYS = [
    Way("100 / (p.id - p.id)::int", "division by zero"),
    Way("shop.without_return()", "control reached end of function without RETURN"),
    Way("nextval('shop.numbers')::int", "cannot execute nextval() in a read-only transaction"),
    Way("(-p.id)::shop.positive::int", 'violates check constraint "positive_check"'),
    Way("length(to_tsvector(('no' || p.name)::regconfig, 'x'))", "does not exist"),
    Way("('no' || p.name)::int", "invalid input syntax for type integer"),
    *[Way(f"shop.raising('{state}')", f"raised with {state}") for state in BY_STATE],
]
OTHERS = 300  # rows that have a document, with ids above those of the others
BAD = {(n + 1) * 7: way for n, way in enumerate(WAYS)}
CASES = " ".join(f"WHEN {id_} THEN {way.expression}" for id_, way in BAD.items())
SHARE = f"CASE p.id {CASES} ELSE 1 END"
PRODUCTS = f"INSERT INTO shop.products SELECT n, 'p' || n, 1, 1 FROM generate_series(1, {OTHERS}) n"
GOOD = {str(n) for n in range(1, OTHERS + 1)} - {str(n) for n in BAD}
SCHEMA = FUNCTIONS + VIEW.format(share=SHARE) + PRODUCTS
OUTCOMES = "SELECT entity_key, status, error_reason, attempts, error FROM search_outbox_events"
HELD = "SELECT DISTINCT status, attempts, error_reason FROM search_outbox_events"
# A view whose rows end the session that reads them while the switch is on.
ENDING = """
CREATE TABLE shop.switch AS SELECT true AS on;
CREATE FUNCTION shop.ending() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT s.on FROM shop.switch s) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN 1;
END $$;
"""
# A row whose document needs a table that the others do not.
LOCKING = """
CREATE FUNCTION shop.locking() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    RETURN (SELECT count(*) FROM shop.reviews);
END $$;
"""
GONE = "ALTER VIEW shop.product_documents RENAME TO gone"
BACK = "ALTER VIEW shop.gone RENAME TO product_documents"


@pytest.fixture
def products(products: str, sql: psycopg.Connection) -> str:
    """Products of which some raise; the index of their projection."""
    sql.execute(SCHEMA.encode())
    return products


def test_each_costs_its_own_event_whatever_postgresql_raises(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.changed(sql, *range(1, OTHERS + 1))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == GOOD
    failed = {int(key): rest for key, *rest in sql.execute(OUTCOMES) if rest[0] != "done"}
    assert failed.keys() == BAD.keys()
    for key, way in BAD.items():
        assert failed[key][:3] == ["failed", "bad_document", 1]
        assert way.words in failed[key][3]


def test_verify_and_rebuild_name_each_and_go_on(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    done = cli("verify", "--projection", "product", "--json", "--limit", "1000")
    assert done.returncode == 4, done.stderr
    (report,) = json.loads(done.stdout)["projections"]
    unreadable = {int(each["id"]): each["error"] for each in report["first"] if each["kind"] == "unreadable"}
    assert unreadable.keys() == BAD.keys()
    assert all(way.words in unreadable[key] for key, way in BAD.items())
    report = cli.json("rebuild", "--projection", "product", "--yes", "--allow-failures")
    assert (report["copied"], report["refused"]) == (len(GOOD), len(BAD))
    assert shop.held(engine, products).keys() == GOOD
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (0,)


def test_preview_and_failed_show_say_what_postgresql_raised(
    products: str, cli: Cli, sql: psycopg.Connection
) -> None:
    shop.changed(sql, *BAD)
    cli.ok("worker", "--drain")
    for id_, key in sql.execute("SELECT id::text, entity_key FROM search_outbox_events"):
        shown = cli.ok("failed", "show", id_)
        assert BAD[int(key)].words.split('"')[0] in " ".join(shown.split())
    key = max(BAD)
    done = cli("projection", "preview", "product", str(key))
    assert (done.returncode, products) == (5, products)
    assert BAD[key].words in done.stderr


def test_a_session_that_ends_while_rows_are_read_fails_no_event_and_costs_no_attempt(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(ENDING)
    sql.execute(VIEW.format(share="shop.ending()").encode())
    shop.changed(sql, *range(1, 51))
    running = worker()
    eventually(lambda: "terminating connection" in running.log.read_text())
    assert {row[0] for row in sql.execute(HELD)} <= {"pending", "processing"}
    sql.execute('UPDATE shop.switch SET "on" = false')
    eventually(lambda: len(shop.held(engine, products)) == 50)
    eventually(lambda: sql.execute(HELD).fetchall() == [("done", 1, None)])


def waiting(sql: psycopg.Connection) -> bool:
    """Whether some events were tried in vain, and all have their attempts: the others are not claimed."""
    rows = sql.execute(HELD).fetchall()
    return ("pending", 0, "config") in rows and set(rows) <= {("pending", 0, "config"), ("pending", 0, None)}


@pytest.mark.parametrize(
    ("away", "back"),
    [(GONE, BACK), (VIEW.format(share="1 / 0"), VIEW.format(share="1"))],
    ids=["gone", "never planned"],
)
@pytest.mark.usefixtures("products")
def test_a_view_of_which_not_even_no_row_can_be_read_holds_its_events(
    worker: Callable[..., Worker], sql: psycopg.Connection, away: str, back: str
) -> None:
    sql.execute(away.encode())
    shop.changed(sql, *range(200, 250))
    worker(OUTBOX_OUTAGE_POLICY="hold", OUTBOX_MAX_BACKOFF_SECONDS="1")
    eventually(lambda: waiting(sql))
    sql.execute(back.encode())
    eventually(lambda: ("done", 1, None) in (left := sql.execute(HELD).fetchall()) and len(left) == 1)


def test_where_every_row_raises_each_event_fails(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(VIEW.format(share="100 / (p.id - p.id)::int").encode())
    shop.changed(sql, *range(1, OTHERS + 1))
    cli.ok("worker", "--drain")
    assert sql.execute(HELD).fetchall() == [("failed", 1, "bad_document")]
    assert shop.held(engine, products) == {}


def test_a_lock_that_one_row_waits_for_is_waited_for_again(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    sql.execute(LOCKING)
    sql.execute(VIEW.format(share="CASE p.id WHEN 7 THEN shop.locking() ELSE 1 END").encode())
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE shop.reviews")
        shop.changed(sql, *range(1, 10))
        worker(OUTBOX_MAX_BACKOFF_SECONDS="1")
        eventually(lambda: len(shop.held(engine, products)) == 8)
        waits = "SELECT entity_key, error_reason FROM search_outbox_events WHERE status = 'pending'"
        eventually(lambda: sql.execute(waits).fetchall() == [("7", "bad_document")])
    eventually(lambda: len(shop.held(engine, products)) == 9)


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
"""
AWAY = "ALTER SERVER other OPTIONS (SET port '1')"


@pytest.mark.slow(reason="another server beside this one")
def test_events_of_a_view_over_a_foreign_table_wait_while_its_server_is_away(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    if not sql.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchone():
        pytest.skip("needs postgres_fdw")
    place = {"password": "", **conninfo.conninfo_to_dict(url)}
    sql.execute(SERVER.format(**place).encode())
    sql.execute(AWAY)
    shop.changed(sql, *range(1, 51))
    worker(OUTBOX_OUTAGE_POLICY="hold", OUTBOX_MAX_BACKOFF_SECONDS="1")
    eventually(lambda: waiting(sql))
    sql.execute(AWAY.replace("'1'", f"'{place['port']}'").encode())
    eventually(lambda: sql.execute(HELD).fetchall() == [("done", 1, None)])
    assert {each["share"] for each in shop.held(engine, products).values()} == set(range(10, 510, 10))
