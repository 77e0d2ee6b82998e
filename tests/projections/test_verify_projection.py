"""`verify` of a declared projection finds each document that differs, and no other, and repairs it."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from fakes.postgres_proxy import Do, postgres_proxy
from outboxctl.core.database import Database
from outboxctl.core.documents import source
from outboxctl.core.documents.rows import from_json
from outboxctl.core.documents.source import DocumentSource, PageOptions
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from outboxctl.operations.verify.compare import by_id, compare
from outboxctl.operations.verify.model import Sides
from outboxctl.operations.verify.sketch import Sketch
from outboxctl.settings import Settings
from outboxctl.sink.index.scan import reader_of
from outboxctl.sink.transport.open import connect
from processes import Cli, Worker, eventually, piped
from projections import stock

WHO = ("--by", "alice", "--reason", "drill")
# What somebody who uses search_index has, and what takes it away.
IN_USE = (
    (
        "INSERT INTO search_index (entity_type, entity_id, text, event_version)"
        " VALUES ('doc', gen_random_uuid(), 'x', 1)",
        "TRUNCATE search_index",
    ),
    (
        "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)"
        " VALUES ('doc', gen_random_uuid(), 'upsert', 1)",
        "UPDATE search_outbox_events SET status = 'done', processed_at = now() WHERE entity_key IS NULL",
    ),
)
STRANGE = "no key"  # of one part, where a key has two
HASH = f"sha256:{'0' * 64}"


def compared(cli: Cli, *args: str, code: int = 4) -> Any:
    """The report of one projection, by a command that ends with this code."""
    done = cli("verify", *args, "--json")
    assert done.returncode == code, done
    (report,) = json.loads(done.stdout)["projections"]
    return report


def found(report: Any) -> set[tuple[str, str]]:
    """Kind and id of each difference."""
    assert report["differences"] == len(report["first"]) == sum(report["by_kind"].values())
    return {(each["kind"], each["id"]) for each in report["first"]}


def spoil(engine: Elasticsearch, index: str) -> set[tuple[str, str]]:
    """Spoil documents in each way; what is to be found."""
    held = shop.held(engine, index)
    hashed = next(id_ for id_ in held if id_.startswith("sha256:"))
    for id_ in ("a%3Ab:n", "50%25:%25", hashed):
        engine.delete(index=index, id=id_)
    engine.index(index=index, id="a:%3A", document=held["a:%3A"] | {"plenty": 0})
    engine.index(index=index, id="ä:n", document=held["ä:n"] | {"new": 1})
    engine.index(index=index, id="{,}:n", document={})
    for id_ in ("a:nowhere", STRANGE, HASH):
        engine.index(index=index, id=id_, document={"code": "a"})
    return {
        *(("missing", id_) for id_ in ("a%3Ab:n", "50%25:%25", hashed)),
        *(("different", id_) for id_ in ("a:%3A", "ä:n", "{,}:n")),
        *(("extra", id_) for id_ in ("a:nowhere", STRANGE, HASH)),
    }


def test_each_spoilt_document_is_found_and_healed_and_no_other_is_touched(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    cli.ok("worker", "--drain")
    assert found(compared(cli, "--projection", "stock", code=0)) == set()
    wrong = spoil(engine, items)
    before = {hit["_id"]: hit["_version"] for hit in _hits(engine, items)}
    report = compared(cli, "--projection", "stock")
    assert found(report) == wrong
    assert report["rows"] == len(stock.wanted(sql))
    planned = compared(cli, "--projection", "stock", "--repair", *WHO, "--dry-run")["planned"]
    assert (planned["enqueued"], planned["removed"], planned["left"]) == (8, 1, 0)
    repaired = compared(cli, "--projection", "stock", "--repair", *WHO, code=0)["repaired"]
    assert (repaired["enqueued"], repaired["removed"], repaired["left"]) == (8, 1, 0)
    cli.ok("worker", "--drain")
    assert shop.held(engine, items) == stock.wanted(sql)
    after = {hit["_id"]: hit["_version"] for hit in _hits(engine, items)}
    spoilt = {id_ for _, id_ in wrong}
    assert {id_: v for id_, v in after.items() if id_ not in spoilt} == {
        id_: v for id_, v in before.items() if id_ not in spoilt
    }
    acts = sql.execute(
        "SELECT action, operator, reason, sum(affected) FROM outbox_operator_audit GROUP BY 1, 2, 3"
    )
    assert acts.fetchall() == [("repair", "alice", "drill", 9)]


@pytest.mark.parametrize("enough", [True, False], ids=["one pass", "by id"])
def test_one_pass_over_both_sides_finds_what_looking_for_each_document_finds(
    items: str,
    enough: bool,
    cli: Cli,
    db: Database,
    settings: Settings,
    engine: Elasticsearch,
    monkeypatch: Any,
) -> None:
    cli.ok("worker", "--drain")
    wrong = spoil(engine, items)
    if not enough:
        monkeypatch.setattr(Sketch, "remaining", lambda _: None)
    used = list[bool]()

    def counted(*given: Any) -> Any:
        used.append(True)
        return by_id(*given)

    monkeypatch.setattr("outboxctl.operations.verify.compare.by_id", counted)
    with closing(connect(settings)) as client:
        view = DocumentSource(stock.projection(items))
        differences = [*compare(Sides(db, reader_of(client, items, view.projection), view))]
    assert {(each.kind, each.id) for each in differences} == wrong
    assert (len(differences), bool(used)) == (len(wrong), not enough)


def _hits(engine: Elasticsearch, index: str) -> Any:
    engine.indices.refresh(index=index)
    return engine.search(index=index, size=1_000, version=True)["hits"]["hits"]


def test_a_document_of_another_application_is_left_if_one_says_so(
    items: str, cli: Cli, engine: Elasticsearch
) -> None:
    cli.ok("worker", "--drain")
    engine.index(index=items, id=STRANGE, document={})
    repaired = compared(cli, "--projection", "stock", "--repair", "--keep-foreign", *WHO)["repaired"]
    assert (repaired["removed"], repaired["foreign"], repaired["left"]) == (0, 1, 1)
    assert STRANGE in shop.held(engine, items)


def test_presence_alone_is_compared_where_versions_only_is_asked_for(
    items: str, cli: Cli, engine: Elasticsearch
) -> None:
    cli.ok("worker", "--drain")
    wrong = spoil(engine, items)
    report = compared(cli, "--projection", "stock", "--versions-only")
    assert found(report) == {each for each in wrong if each[0] != "different"}


def test_documents_whose_events_are_not_delivered_are_in_flight(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    report = compared(cli, "--projection", "stock", code=0)
    assert (report["differences"], report["in_flight"]) == (0, len(stock.wanted(sql)))
    cli.ok("worker", "--drain")
    spoil(engine, items)
    sql.execute(
        "INSERT INTO search_outbox_events (entity_type, entity_id, op, entity_key, follow)"
        " VALUES ('stock', gen_random_uuid(), 'upsert', '{}', 0)"
    )
    report = compared(cli, "--projection", "stock", code=0)
    assert (report["differences"], report["in_flight"]) == (0, 9)


def test_what_is_changed_and_delivered_while_it_is_looked_at_is_no_difference(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    cli.ok("worker", "--drain")
    engine.delete(index=items, id="a:n")
    with postgres_proxy(url) as proxy:
        read = "WITH version AS MATERIALIZED"
        rule = proxy.on(read, Do.HOLD_ANSWER, within="WITH e AS MATERIALIZED")
        args = ["verify", "--projection", "stock", "--json"]
        process = piped(args, cli.env | {"DATABASE_URL": proxy.url}, cli.cwd)
        eventually(lambda: rule.reached.is_set() or process.poll() is not None)
        sql.execute("UPDATE stock.items SET note = 'new' WHERE code = 'a' AND site = 'n'")
        cli.ok("worker", "--drain")
        rule.released.set()
        out, _ = process.communicate(timeout=30)
    (report,) = json.loads(out)["projections"]
    assert (report["differences"], report["in_flight"]) == (0, 1)


def test_a_failed_event_is_in_flight_no_more(items: str, cli: Cli, sql: psycopg.Connection) -> None:
    sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE entity_key = 'a:n'")
    cli.ok("worker", "--drain")
    assert items
    assert found(compared(cli, "--projection", "stock")) == {("missing", "a:n")}


@pytest.mark.slow(reason="several whole comparisons")
def test_a_row_that_cannot_be_read_is_named_and_hides_no_other(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO shop.products SELECT n, 'p', 1, n % 1000 FROM generate_series(1, 2500) n")
    shop.changed(sql, *range(1, 2_501))
    cli.ok("worker", "--drain")
    for id_ in ("1", "999", "1001", "2500"):
        engine.delete(index=products, id=id_)
    for id_ in ("2501", "-1", "01", "one", "99999999999999999999"):
        engine.index(index=products, id=id_, document={})
    report = compared(cli, "--projection", "product")
    wrong = {("missing", id_) for id_ in ("1", "999", "1001", "2500")}
    wrong |= {("extra", id_) for id_ in ("2501", "-1", "01", "one", "99999999999999999999")}
    unreadable = {("unreadable", "1000"), ("unreadable", "2000")}
    assert found(report) == wrong | unreadable
    assert all("division by zero" in each["error"] for each in report["first"] if each["error"])
    repaired = compared(cli, "--projection", "product", "--repair", *WHO)["repaired"]
    assert repaired["left"] == 2
    cli.ok("worker", "--drain")
    assert found(compared(cli, "--projection", "product")) == unreadable


@pytest.mark.slow(reason="live traffic for many seconds")
def test_while_an_application_writes_and_a_worker_delivers_nothing_differs(
    items: str,
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    url: str,
) -> None:
    worker()
    writer = stock.Writer(url, rate=400)
    writer.start()
    for _ in range(8):
        report = compared(cli, "--projection", "stock", code=0)
        assert report["differences"] == 0
    engine.index(index=items, id="a:nowhere", document={})
    report = compared(cli, "--projection", "stock", "--repair", *WHO, code=0)
    writer.stop()
    assert found(report) == {("extra", "a:nowhere")}
    eventually(lambda: shop.held(engine, items) == stock.wanted(sql))
    assert writer.acts > 100


@pytest.mark.usefixtures("items")
def test_all_projections_are_compared_beside_search_index(
    products: str, cli: Cli, sql: psycopg.Connection, db: Database
) -> None:
    cli.ok("worker", "--drain")
    whole = cli.json("verify")
    alone = cli.json("verify", "--projection", "search_index_to_elastic")
    assert (alone["projections"], alone["index"]) == ([], whole["index"])
    kinds = {"missing", "extra", "stale", "ahead", "different", "unreadable"}
    assert whole["by_kind"].keys() >= kinds
    assert [(each["name"], each["differences"]) for each in whole["projections"]] == [
        ("product", 0),
        ("stock", 0),
    ]
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    shop.put_in_force(db, replace(shop.product(f"{products}-none"), name="missing"))
    done = cli("verify", "--json")
    assert done.returncode == 3
    by_name = {each["name"]: each for each in json.loads(done.stdout)["projections"]}
    assert f"{products}-none" in by_name["missing"]["error"]
    assert found(by_name["product"]) == {("missing", "1")}
    assert by_name["stock"]["differences"] == 0
    assert "product: 1 rows" in cli("verify").stdout


def test_search_index_is_left_out_where_nobody_uses_it(items: str, cli: Cli, sql: psycopg.Connection) -> None:
    """As a worker is ready there: it has neither an index nor rows nor events."""
    cli.ok("worker", "--drain")
    unused = {"ELASTIC_INDEX": f"{items}-none"}
    whole = cli.json("verify", env=unused)
    assert "not used" in whole["skipped"]
    assert [each["name"] for each in whole["projections"]] == ["stock"]
    assert "search_index: not compared: " in cli.ok("verify", env=unused)
    cli.ok("verify", "--repair", *WHO, "--yes", env=unused)
    alone = cli("verify", "--projection", "search_index_to_elastic", env=unused)
    assert (alone.returncode, "no such index" in alone.stderr) == (3, True), alone.stderr
    for use, undo in IN_USE:
        sql.execute(use)
        assert cli("verify", env=unused).returncode == 3
        sql.execute(undo)
    cli.ok("verify", env=unused)
    sql.execute("DELETE FROM outbox_projections")
    assert cli("verify", env=unused).returncode == 3, "without any projection a missing index is an error"


@pytest.mark.usefixtures("items")
def test_a_name_that_is_not_in_force_is_refused_with_those_that_are(cli: Cli) -> None:
    for more in ([], ["--repair", *WHO]):
        done = cli("verify", "--projection", "stocks", *more)
        assert done.returncode == 2
        assert "'stocks'" in done.stderr
        assert "in force: stock" in done.stderr


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("pg_catalog.int4", ["-5", "9", "10", "2000000000"]),
        ("pg_catalog.numeric", ["-1.5", "0", "0.10", "9", "10.00", "1e20"]),
        ("pg_catalog.date", ["1999-12-31", "2026-01-01", "0044-03-15 BC"]),
        ("pg_catalog.uuid", ["00000000-0000-0000-0000-00000000000a", "f0000000-0000-0000-0000-000000000000"]),
        ("pg_catalog.text", ["B", "a", "ä", "", " ", "%s", "%(a)s", "50%%", "it's"]),
        ('public."A %mood"', ["sad", "ok", "happy 50%:"]),
    ],
)
def test_pages_hold_every_key_once_in_the_order_of_its_type(
    kind: str, values: list[str], sql: psycopg.Connection, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute("""CREATE TYPE public."A %mood" AS ENUM ('sad', 'ok', 'happy 50%:')""")
    sql.execute(f'CREATE TABLE public."T %x" ("K %s" {kind} PRIMARY KEY)')
    with sql.cursor() as cursor:
        cursor.executemany('INSERT INTO public."T %%x" VALUES (%s)', [[value] for value in values])
    table = Relation("public", "T %x")
    column = KeyColumn("K %s", kind)
    projection = Projection("t", table, (column,), table, "i")
    view = DocumentSource(projection)
    monkeypatch.setattr(source, "CHUNK_ROWS", 2)
    pages = [*view.pages(db, None, PageOptions(2, 1_000, versions=False))]
    every = [from_json(row[0]) for page in pages for row in page.rows]
    with db.begin() as connection:
        assert view.count(connection) == len(values)
    assert view.states(db, every, content=False).rows.keys() == set(every)
    expected = sql.execute('SELECT t."K %s"::text FROM public."T %x" t ORDER BY t."K %s"').fetchall()
    if kind == "pg_catalog.numeric":
        assert every == ["-1.5", "0", "0.1", "9", "10", "100000000000000000000"]
    else:
        assert every == [text for (text,) in expected]
