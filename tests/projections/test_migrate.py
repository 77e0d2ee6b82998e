"""`projection migrate`: the application's migration from a file, beside workers and writers."""

import json
from collections.abc import Callable
from random import Random
from subprocess import CompletedProcess
from threading import Event, Thread
from time import sleep

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg.conninfo import make_conninfo

from processes import Worker, eventually
from projections.store import WHO, Store
from shop import documents, held

LOAN = """store."Lo""an'%:s\""""
RETYPE = "ALTER TABLE store.products ALTER price TYPE numeric(14, 4) USING price * 2;\n"


ITEMS = """
CREATE TABLE store.items (id int PRIMARY KEY, name text, n int NOT NULL);
CREATE TABLE store.parts (id bigserial PRIMARY KEY, item int REFERENCES store.items ON DELETE CASCADE, w int);
CREATE INDEX ON store.parts (item);
CREATE VIEW store.item_documents AS SELECT i.id, i.name, i.n,
    (SELECT sum(p.w) FROM store.parts p WHERE p.item = i.id) AS w FROM store.items i;
"""
GROW = """
ALTER TABLE store.parts ALTER item TYPE bigint;
ALTER TABLE store.items ALTER id TYPE bigint, ALTER n TYPE bigint USING n * 10;
"""
WRITES = (
    "INSERT INTO store.items VALUES ({a}, 'new', {b}) ON CONFLICT DO NOTHING",
    "INSERT INTO store.parts (item, w) SELECT id, {b} FROM store.items WHERE id IN ({a}, {b})",
    "UPDATE store.items SET n = n + 1, name = 'x{b}' WHERE id IN ({a}, {b})",
    "UPDATE store.parts SET item = (SELECT min(id) FROM store.items WHERE id >= {a}) WHERE w = {b}",
    "DELETE FROM store.items WHERE id = {a}",
)
MAPPING = """mapping = '{"mappings": {"properties": {"id": {"type": "long"}, "n": {"type": "long"}}}}'"""
FAILED = "SELECT count(*) FROM search_outbox_events WHERE status = 'failed'"
BIG = 2**31 + 10


def run(store: Store, sql: str | bytes, *more: str) -> CompletedProcess[str]:
    """The command on a file of this text."""
    file = store.file.with_name("change.sql")
    file.write_bytes(sql if isinstance(sql, bytes) else sql.encode())
    return store.cli("projection", "migrate", str(file), *WHO, *more)


def test_it_runs_the_file_says_what_it_means_and_is_audited(store: Store) -> None:
    store.apply()
    done = run(
        store, f"-- a; b\n{RETYPE}SELECT ';' AS \"x;y\" /* ; */; CREATE TABLE store.t (a int);", "--json"
    )
    report = json.loads(done.stdout)
    assert report["views"] == ["store.documents"]
    assert "plan FILE" in report["said"][0]
    (act,) = store.cli.json("audit", "--action", "projection migrate")["audit"]
    assert (act["id"], act["filters"]["views"]) == (report["audit_id"], ["store.documents"])
    assert store.what() == ["declaration", "documents"]


def test_a_view_that_no_projection_reads_is_named_with_what_to_do(store: Store) -> None:
    store.apply()
    store.sql.execute("CREATE VIEW store.theirs AS SELECT price FROM store.products")
    for sql in (RETYPE, "ALTER TABLE store.products DROP price"):
        said = run(store, sql).stderr
        assert (
            "no projection reads store.theirs by these tables: drop it and make it again in the file"
            in " ".join(said.split())
        )
    again = f"DROP VIEW store.theirs; {RETYPE} CREATE VIEW store.theirs AS SELECT price FROM store.products"
    assert run(store, again).returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("ALTER TABLE store.products\n ADD x int,\n ADD y no;", 'sql:3: type "no"', id="parsed"),
        pytest.param("SELECT 1;\nALTER TABLE store.products DROP title;", "title of store", id="used"),
        pytest.param("SELECT 1;\n\nSELECT 1 / 0;", "change.sql:3: division by zero", id="run"),
        pytest.param("CREATE INDEX CONCURRENTLY ON store.products (title)", "transaction", id="alone"),
    ],
)
def test_what_fails_is_named_with_its_line_and_nothing_is_changed(
    store: Store, text: str, words: str
) -> None:
    store.apply()
    before = store.facts()
    done = run(store, text)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert "outbox_projections_" not in done.stderr
    assert store.facts() == before


def test_a_table_by_name_with_quotes_and_capitals(store: Store) -> None:
    store.sql.execute(
        f"""CREATE TABLE {LOAN} (id int PRIMARY KEY, "A ""b" int);
        CREATE VIEW store."D'oc %s" AS SELECT * FROM {LOAN}""".encode()
    )
    store.write('"store.products"', f"'''{LOAN}'''")
    store.write('"store.documents"', "'''store.\"D'oc %s\"'''")
    store.apply()
    done = run(
        store, 'ALTER TABLE store."Lo""an\'%:s" ALTER "A ""b" TYPE text', "--table", 'store."Lo""an\'%:s"'
    )
    assert done.returncode == 0, done.stderr
    assert "D'oc %s" in done.stdout
    assert run(store, "SELECT 1", "--table", "store.nothing").returncode == 2
    assert "the file has no statement" in run(store, "-- none\n").stdout


def write(url: str, seed: int, end: Event, errors_: list[str]) -> None:
    """Random transactions until the end; the second half of the keys are not int any more."""
    random, keys = Random(seed), [*range(1, 15)]
    with psycopg.connect(url) as own:
        while not end.is_set():
            texts = [random.choice(WRITES).format(a=random.choice(keys), b=random.choice(keys)) for _ in "ab"]
            try:
                with own.transaction(force_rollback=random.random() < 0.1):
                    for each in texts:
                        own.execute(each.encode())
            except (psycopg.errors.DeadlockDetected, psycopg.errors.ForeignKeyViolation):
                continue
            except psycopg.Error as error:
                errors_.append(f"{each}: {error}")
            sleep(0.002)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_of_what_is_written_beside_it_and_larger_keys_are_sent(
    store: Store, engine: Elasticsearch, worker: Callable[..., Worker], seed: int
) -> None:
    store.sql.execute(ITEMS)
    store.write("store.products", "store.items")
    store.write("store.documents", "store.item_documents")
    store.write(after=MAPPING)
    store.apply()
    url, end, errors_ = (
        make_conninfo(store.sql.info.dsn, password=store.sql.info.password),
        Event(),
        list[str](),
    )
    writers = [Thread(target=write, args=(url, seed * 10 + n, end, errors_)) for n in range(3)]
    started = worker(OUTBOX_METRICS_PORT="0")
    for each in writers:
        each.start()
    sleep(1.5)
    try:
        done = run(store, GROW)
        assert done.returncode == 0, done.stderr
        store.sql.execute(
            f"INSERT INTO store.items VALUES ({BIG}, 'big', {BIG}), ({BIG + 1}, '', 0)".encode()
        )
        store.sql.execute("INSERT INTO store.parts (item, w) SELECT id, 1 FROM store.items WHERE id > 15")
        store.sql.execute("UPDATE store.parts SET w = 7 WHERE item = %s", [BIG])
        sleep(1.5)
    finally:
        end.set()
        for each in writers:
            each.join()
    assert errors_ == []
    started.signal()
    started.wait()
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == documents(store.sql, "store.item_documents")
    assert str(BIG) in held(engine, store.index)
    assert store.sql.execute(FAILED).fetchone() == (0,)


WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LEFT = "SELECT FROM search_outbox_events WHERE status NOT IN ('done', 'superseded')"
VIEW = """
CREATE VIEW store.documents AS SELECT p.id, p.price, c.label AS category
    FROM store.products p LEFT JOIN store.categories c ON c.id = p.category_id
"""
LABELLED = f"""
SELECT outbox_projections_suspend('store.categories');
ALTER TABLE store.categories ADD label text;
UPDATE store.categories SET label = name;
{VIEW}"""


def test_who_waits_for_the_migration_keeps_no_value_of_before_it(
    store: Store, engine: Elasticsearch, worker: Callable[..., Worker]
) -> None:
    """A statement that was planned before has the snapshot of before, in which the new column is empty."""
    store.sql.execute("DROP VIEW store.documents; INSERT INTO store.categories VALUES (1, 'Pans')")
    store.sql.execute(VIEW.replace("label", "name").encode())
    store.sql.execute("INSERT INTO store.products (id, tenant, category_id) VALUES (1, 'a', 1)")
    store.apply()
    worker(OUTBOX_METRICS_PORT="0")
    eventually(lambda: "1" in held(engine, store.index))
    with psycopg.connect(make_conninfo(store.sql.info.dsn, password=store.sql.info.password)) as sql:
        sql.execute(LABELLED.encode())
        store.sql.execute("UPDATE store.products SET price = 7")
        eventually(lambda: store.sql.execute(WAITING).fetchall())
        said = sql.execute("SELECT outbox_projections_resume()").fetchall()
    eventually(lambda: not store.sql.execute(LEFT).fetchall())
    assert held(engine, store.index) == documents(store.sql, "store.documents")
    assert held(engine, store.index)["1"]["category"] == "Pans"
    assert "every document is read again" in str(said)
