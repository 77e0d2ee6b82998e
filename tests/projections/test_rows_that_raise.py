"""An error while documents are read is a row's, unless the session is lost or no read works at all."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from processes import Cli, Worker, eventually
from projections import raising
from servers import an_index

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
def products(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[str]:
    """Products of which some raise; the index of their projection."""
    sql.execute(shop.SCHEMA)
    sql.execute(raising.SCHEMA.encode())
    with an_index(engine) as name:
        shop.put_in_force(db, shop.product(name))
        yield name


def test_each_costs_its_own_event_whatever_postgresql_raises(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.changed(sql, *range(1, raising.OTHERS + 1))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == raising.GOOD
    failed = {int(key): rest for key, *rest in sql.execute(OUTCOMES) if rest[0] != "done"}
    assert failed.keys() == raising.BAD.keys()
    for key, way in raising.BAD.items():
        assert failed[key][:3] == ["failed", "bad_document", 1]
        assert way.words in failed[key][3]


def test_verify_and_rebuild_name_each_and_go_on(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    done = cli("verify", "--projection", "product", "--json", "--limit", "1000")
    assert done.returncode == 4, done.stderr
    (report,) = json.loads(done.stdout)["projections"]
    unreadable = {int(each["id"]): each["error"] for each in report["first"] if each["kind"] == "unreadable"}
    assert unreadable.keys() == raising.BAD.keys()
    assert all(way.words in unreadable[key] for key, way in raising.BAD.items())
    report = cli.json("rebuild", "--projection", "product", "--yes", "--allow-failures")
    assert (report["copied"], report["refused"]) == (len(raising.GOOD), len(raising.BAD))
    assert shop.held(engine, products).keys() == raising.GOOD
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (0,)


def test_preview_and_failed_show_say_what_postgresql_raised(
    products: str, cli: Cli, sql: psycopg.Connection
) -> None:
    shop.changed(sql, *raising.BAD)
    cli.ok("worker", "--drain")
    for id_, key in sql.execute("SELECT id::text, entity_key FROM search_outbox_events"):
        shown = cli.ok("failed", "show", id_)
        assert raising.BAD[int(key)].words.split('"')[0] in " ".join(shown.split())
    key = max(raising.BAD)
    done = cli("projection", "preview", "product", str(key))
    assert (done.returncode, products) == (5, products)
    assert raising.BAD[key].words in done.stderr


def test_a_session_that_ends_while_rows_are_read_fails_no_event_and_costs_no_attempt(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(ENDING)
    sql.execute(raising.VIEW.format(share="shop.ending()").encode())
    shop.changed(sql, *range(1, 51))
    running = worker()
    eventually(lambda: "terminating connection" in running.log.read_text())
    assert {row[0] for row in sql.execute(HELD)} <= {"pending", "processing"}
    sql.execute('UPDATE shop.switch SET "on" = false')
    eventually(lambda: len(shop.held(engine, products)) == 50)
    eventually(lambda: sql.execute(HELD).fetchall() == [("done", 1, None)])


@pytest.mark.parametrize(
    ("away", "back"),
    [(GONE, BACK), (raising.VIEW.format(share="1 / 0"), raising.VIEW.format(share="1"))],
    ids=["gone", "never planned"],
)
@pytest.mark.usefixtures("products")
def test_a_view_of_which_not_even_no_row_can_be_read_holds_its_events(
    worker: Callable[..., Worker], sql: psycopg.Connection, away: str, back: str
) -> None:
    sql.execute(away.encode())
    shop.changed(sql, *range(200, 250))
    worker(OUTBOX_OUTAGE_POLICY="hold", OUTBOX_MAX_BACKOFF_SECONDS="1")
    eventually(lambda: sql.execute(HELD).fetchall() == [("pending", 0, "config")])
    sql.execute(back.encode())
    eventually(lambda: ("done", 1, None) in (left := sql.execute(HELD).fetchall()) and len(left) == 1)


def test_where_every_row_raises_each_event_fails(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(raising.VIEW.format(share="100 / (p.id - p.id)::int").encode())
    shop.changed(sql, *range(1, raising.OTHERS + 1))
    cli.ok("worker", "--drain")
    assert sql.execute(HELD).fetchall() == [("failed", 1, "bad_document")]
    assert shop.held(engine, products) == {}


def test_a_lock_that_one_row_waits_for_is_waited_for_again(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    sql.execute(LOCKING)
    sql.execute(raising.VIEW.format(share="CASE p.id WHEN 7 THEN shop.locking() ELSE 1 END").encode())
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE shop.reviews")
        shop.changed(sql, *range(1, 10))
        worker(OUTBOX_MAX_BACKOFF_SECONDS="1")
        eventually(lambda: len(shop.held(engine, products)) == 8)
        waits = "SELECT entity_key, error_reason FROM search_outbox_events WHERE status = 'pending'"
        eventually(lambda: sql.execute(waits).fetchall() == [("7", "bad_document")])
    eventually(lambda: len(shop.held(engine, products)) == 9)
