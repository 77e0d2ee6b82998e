"""`rebuild --projection` fills a new index from the view while changes go on, and loses none."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import ConflictError, Elasticsearch

import shop
from fakes.postgres_proxy import Do, postgres_proxy
from outboxctl.core.database import Database
from processes import Cli, Worker, eventually
from projections import stock
from rebuilding import behind, held, indexes, said
from servers import an_index

pytestmark = pytest.mark.real_engine
STOCK = ("--projection", "stock")
SMALL = {"OUTBOX_BULK_SIZE": "10"}


def test_a_new_index_holds_the_documents_of_the_view_and_none_of_the_old_ones_rubbish(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("UPDATE search_outbox_events SET status = 'done'")
    sql.execute("UPDATE stock.items SET amount = -1 WHERE site = 'n:s'")
    engine.index(index=items, id="rubbish", document={})
    engine.indices.put_mapping(index=items, properties={"note": {"type": "keyword"}})
    done = cli.json("rebuild", *STOCK, "--mapping", "keep", "--yes", env=SMALL)
    wanted = stock.wanted(sql)
    assert len(wanted) == 27
    assert (done["phase"], done["copied"], done["refused"]) == ("done", 27, 0)
    assert behind(engine, items) == [f"{items}-000002"]
    assert shop.held(engine, items) == wanted
    mapping = engine.indices.get_mapping(index=items)[f"{items}-000002"]["mappings"]
    assert mapping["properties"]["note"] == {"type": "keyword"}
    assert cli.json("verify", *STOCK)["projections"][0]["differences"] == 0


@pytest.mark.slow(reason="writers and workers beside a rebuild")
def test_while_an_application_writes_and_workers_deliver_nothing_is_lost(
    items: str,
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    url: str,
) -> None:
    writer = stock.Writer(url, rate=100)
    writer.start()
    worker()
    eventually(lambda: writer.acts > 100)
    done = cli.json("rebuild", *STOCK, "--yes", env=SMALL)
    assert (done["phase"], done["refused"]) == ("done", 0)
    assert done["caught_up"] > 0
    assert behind(engine, items) == [f"{items}-000002"]
    writer.stop()
    query = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
    eventually(lambda: sql.execute(query).fetchone() == (0,), what="all delivered")
    assert shop.held(engine, items) == stock.wanted(sql)


def test_what_changed_after_its_page_was_read_is_as_it_is_now(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    """Before the swap, when everything was caught up: the worker still writes to the old index."""
    cli.ok("worker", "--drain")
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "SET swapped_at", Do.HOLD_STATEMENT, "", *STOCK) as (process, rule),
    ):
        sql.execute("DELETE FROM stock.items WHERE site = '%'")
        sql.execute("UPDATE stock.items SET code = code || '2', note = 'moved' WHERE site = ':'")
        cli.ok("worker", "--drain")
        assert shop.held(engine, f"{items}-000002").keys() != stock.wanted(sql).keys()
        rule.released.set()
        done = said(process)[1]
    assert (done["phase"], done["healed"]) == ("done", 0)
    assert shop.held(engine, items) == stock.wanted(sql)


@pytest.mark.parametrize("delivered", ["before the swap", "after it"])
def test_a_table_that_is_emptied_meanwhile_leaves_no_document(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str, delivered: str
) -> None:
    """Documents of the new index that the old one never had are removed as well."""
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "SET swapped_at", Do.HOLD_STATEMENT, "", *STOCK) as (process, rule),
    ):
        sql.execute("TRUNCATE stock.items")
        sql.execute(
            "INSERT INTO search_outbox_events (entity_type, entity_id, op, entity_key, follow)"
            " VALUES ('stock', gen_random_uuid(), 'upsert', '', -1)"
        )
        if delivered == "before the swap":
            cli.ok("worker", "--drain")
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    cli.ok("worker", "--drain")
    assert shop.held(engine, items) == {}
    assert cli.json("verify", *STOCK)["projections"][0]["in_flight"] == 0


def test_what_no_event_tells_is_found_by_comparing(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    cli.ok("worker", "--drain")
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "SET swapped_at", Do.HOLD_STATEMENT, "", *STOCK) as (process, rule),
    ):
        sql.execute("DELETE FROM stock.items WHERE site = '%' AND code IN ('a', 'ä')")
        sql.execute("UPDATE stock.items SET note = 'other' WHERE site = 'n' AND code = 'a:b'")
        stock.put(sql, [("new", "n", 1, "new")])
        sql.execute("DELETE FROM search_outbox_events")
        rule.released.set()
        assert said(process)[1]["healed"] == 4
    assert shop.held(engine, items) == stock.wanted(sql)


def test_a_late_write_of_a_deleted_document_is_kept_out_of_the_new_index_too(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    cli.ok("worker", "--drain")
    version = engine.get(index=items, id="a:n")["_version"]
    sql.execute("DELETE FROM stock.items WHERE code = 'a' AND site = 'n'")
    cli.ok("worker", "--drain")
    sql.execute("UPDATE search_outbox_events SET updated_at = now() - interval '50 minutes'")
    cli.ok("rebuild", *STOCK, "--yes")
    with pytest.raises(ConflictError):
        engine.index(index=items, id="a:n", document={}, version=version, version_type="external_gte")


def test_killed_in_the_middle_of_the_fill_it_goes_on_behind_the_last_key(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    with (
        postgres_proxy(url) as proxy,
        held(
            cli, proxy, "COMMIT", Do.HOLD_ANSWER, "outbox_rebuilds SET body", *STOCK, OUTBOX_BULK_SIZE="10"
        ) as (process, _),
    ):
        process.kill()
        assert process.wait() == -signal.SIGKILL
    cursor, copied = sql.execute("SELECT body->>'cursor', copied FROM outbox_rebuilds").fetchone() or ("", 0)
    assert cursor
    assert 0 < copied < 36
    refused = cli("--elastic-index", items, "rebuild", "--yes")
    assert refused.returncode == 2
    assert "--projection stock" in refused.stderr
    report = cli.json("rebuild", *STOCK, "--yes")
    assert (report["phase"], report["copied"], report["resumed"]) == ("done", 36, True)
    assert shop.held(engine, items) == stock.wanted(sql)


def test_back_to_the_old_index_and_cleanup_of_the_other(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    cli.ok("worker", "--drain")
    assert "`outboxctl index rollback --projection stock`" in cli.ok("rebuild", *STOCK, "--yes")
    stock.put(sql, [("new", "n", 1, "new")])
    sql.execute("DELETE FROM stock.items WHERE site = '%'")
    cli.ok("worker", "--drain")
    assert cli.json("index", "rollback", *STOCK, "--yes")["phase"] == "done"
    assert behind(engine, items) == [f"{items}-000001"]
    assert shop.held(engine, items) == stock.wanted(sql)
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    cli.ok("index", "cleanup", *STOCK, "--yes")
    assert indexes(engine, items) == [f"{items}-000001"]
    assert [each["action"] for each in cli.json("index", "rebuilds", *STOCK)["rebuilds"]] == [
        "rollback",
        "rebuild",
    ]


def test_a_row_that_cannot_be_read_ends_it_by_name_unless_it_may_be_left_out(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, db: Database
) -> None:
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.products SELECT n, 'p', 1, n % 50 FROM generate_series(1, 120) n")
    with an_index(engine) as name:
        shop.put_in_force(db, shop.product(name))
        done = cli("rebuild", "--projection", "product", "--yes", "--json")
        report = json.loads(done.stdout)
        assert (done.returncode, report["phase"]) == (4, "aborted")
        assert {each["id"] for each in report["failures"]} <= {"50", "100"}
        assert "division by zero" in report["failures"][0]["error"]
        assert behind(engine, name) == [f"{name}-000001"]
        report = cli.json("rebuild", "--projection", "product", "--yes", "--allow-failures")
        assert (report["copied"], report["refused"]) == (118, 2)
        assert len(shop.held(engine, name)) == 118


def test_the_new_index_has_the_declared_mapping_or_the_one_that_is_asked_for(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, db: Database, tmp_path: Path
) -> None:
    given = {
        "mappings": {"properties": {"more": {"type": "flattened"}}},
        "settings": {"number_of_replicas": 2},
    }
    shop.put_in_force(db, replace(stock.projection(items), mapping=json.dumps(given)))

    def properties() -> Any:
        ((_, body),) = engine.indices.get(index=items).items()
        return body["mappings"]["properties"], body["settings"]["index"]["number_of_replicas"]

    cli.ok("rebuild", *STOCK, "--yes")
    declared, replicas = properties()
    assert (declared["amount"], declared["more"]) == ({"type": "integer"}, {"type": "flattened"})
    assert replicas == "2"
    file = tmp_path / "other.json"
    file.write_text('{"mappings": {"properties": {"amount": {"type": "long"}}}}', encoding="utf-8")
    cli.ok("rebuild", *STOCK, "--mapping", str(file), "--yes")
    assert properties()[0]["amount"] == {"type": "long"}
    cli.ok("rebuild", *STOCK, "--mapping", "keep", "--yes")
    assert properties()[0]["amount"] == {"type": "long"}
    cli.ok("rebuild", *STOCK, "--mapping", "default", "--yes")
    assert properties()[0] == declared
    assert shop.held(engine, items) == stock.wanted(sql)


@pytest.mark.parametrize("made", [False, True], ids=["gone", "with an index in its place"])
def test_an_index_that_is_gone_is_made_anew(
    made: bool, items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    engine.indices.delete(index=f"{items}-000001")
    if made:  # by a request, without a mapping
        engine.options(ignore_status=404).delete(index=items, id="1", version=1, version_type="external_gte")
        assert indexes(engine, items) == [items]
    cli.ok("rebuild", *STOCK, "--yes")
    assert shop.held(engine, items) == stock.wanted(sql)
    mapping = engine.indices.get_mapping(index=items)[f"{items}-00000{1 + made}"]["mappings"]
    assert mapping["properties"]["amount"] == {"type": "integer"}


def test_a_name_that_is_not_in_force_and_an_index_without_a_mapping_are_refused(
    items: str, cli: Cli, engine: Elasticsearch, db: Database
) -> None:
    done = cli("rebuild", "--projection", "stocks", "--yes")
    assert done.returncode == 2
    assert "in force: stock" in done.stderr
    shop.put_in_force(db, stock.projection(f"{items}-none"))
    done = cli("rebuild", *STOCK, "--mapping", "keep", "--yes")
    assert done.returncode == 2
    assert "--mapping" in done.stderr
    assert indexes(engine, items) == [f"{items}-000001"]
