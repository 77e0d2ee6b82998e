"""An index for each value of a column: a document is in that of its row, wherever it was before."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import refused
from processes import Cli, Worker, eventually
from projections.lands import FILE, TABLES, Lands
from projections.store import WHO
from servers import Servers, delete_index

pytestmark = pytest.mark.real_engine
SOME = """INSERT INTO shop.products
SELECT n, (ARRAY['at', 'ch', 'de'])[1 + n % 3], 'product ' || n FROM generate_series(1, 9) n"""

LONG_AGO = "UPDATE outbox_deletes SET due_at = now(), delivered_at = now() - interval '1 day'"


@pytest.fixture
def lands(
    sql: psycopg.Connection, engine: Elasticsearch, cli: Cli, index: str, tmp_path: Path
) -> Iterator[Lands]:
    """The tables, and a declaration that is not in force."""
    sql.execute(TABLES)
    file, name = tmp_path / "lands.toml", f"{index}-products"
    file.write_text(FILE.format(index=name), encoding="utf-8")
    yield Lands(sql, engine, cli, name, file)
    delete_index(engine, name)


def test_a_document_moves_with_its_row_and_is_left_nowhere(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    assert lands.there() == ["at", "ch", "de"]
    lands.drain()
    lands.check()
    for change in (
        "UPDATE shop.products SET country = 'de' WHERE id <= 3",
        "UPDATE shop.products SET country = 'li' WHERE id IN (1, 5)",  # an index that nobody has made
        "UPDATE shop.products SET country = 'at' WHERE id = 1; UPDATE shop.products SET id = 77 WHERE id = 2",
        "DELETE FROM shop.products WHERE id IN (3, 5)",
        "INSERT INTO shop.reviews (product_id, stars) VALUES (1, 5), (77, 4)",
        "TRUNCATE shop.products CASCADE",
    ):
        lands.sql.execute(change.encode())
        lands.drain()
        lands.check(within=5)
    assert lands.failed() == []
    names = {name for (name,) in lands.sql.execute("SELECT DISTINCT index_name FROM outbox_deletes")}
    assert f"{lands.name}-ch" in names
    assert "" not in names, "a delete that is sent again would go nowhere"


def test_a_late_write_to_an_index_that_a_document_has_left_is_deleted_again(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.drain()
    left = f"{lands.name}-at"
    late = lands.engine.get(index=left, id="6")
    lands.sql.execute("UPDATE shop.products SET country = 'de' WHERE id = 6")
    lands.drain()
    lands.engine.indices.close(index=left)
    lands.engine.indices.open(index=left, wait_for_active_shards="1")
    lands.engine.index(
        index=left, id="6", document=late["_source"], version=late["_version"], version_type="external"
    )
    assert ("at", "6") in lands.held()
    lands.sql.execute(LONG_AGO)
    lands.drain()
    lands.check(within=5)
    assert lands.sql.execute("SELECT FROM outbox_deletes").rowcount == 0
    assert lands.sql.execute("SELECT FROM outbox_places WHERE index_name = %s", [left]).rowcount == 2


def test_random_moves_end_where_the_rows_are_with_a_killed_and_a_frozen_worker(
    lands: Lands, url: str, worker: Callable[..., Worker]
) -> None:
    lands.apply()
    quick = {"OUTBOX_LEASE_SECONDS": "4", "OUTBOX_BULK_SIZE": "7"}
    first, second = (worker(**quick) for _ in range(2))

    def write(seed: int) -> None:
        random = Random(seed)
        with psycopg.connect(url, autocommit=True) as sql:
            for _ in range(150):
                sleep(random.random() * 0.06)  # so that documents are sent between two moves
                a, country = random.randint(1, 30), random.choice(["at", "ch", "de"])
                sql.execute(random.choice(WRITES).format(a=a, country=country).encode())

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: lands.sql.execute(MOVED).fetchone() == (True,))
    second.signal(signal.SIGSTOP)  # with what it has read, perhaps, and its lease is over when it goes on
    first.signal(signal.SIGKILL)
    worker(**quick)
    for thread in threads:
        thread.join()
    lands.check()
    second.signal(signal.SIGCONT)
    eventually(lambda: lands.sql.execute(OPEN).fetchone() == (0,))
    lands.check()
    assert lands.failed() == []


WRITES = (
    *["INSERT INTO shop.products VALUES ({a}, '{country}', 'new') ON CONFLICT DO NOTHING"] * 2,
    *["UPDATE shop.products SET country = '{country}' WHERE id IN ({a}, {a} + 1)"] * 4,
    "UPDATE shop.products SET name = name || 'x' WHERE id = {a}",
    "INSERT INTO shop.reviews (product_id, stars) SELECT id, 3 FROM shop.products WHERE id = {a}",
    "DELETE FROM shop.products WHERE id = {a}",
)
MOVED = "SELECT count(*) > 3 FROM outbox_deletes"
OPEN = "SELECT count(*) FROM search_outbox_events WHERE status IN ('pending', 'processing')"
HOSTILE = (None, "", "../x", "*", "A B", "DE", "d" * 300, "a,b", "000001", "de-000001")


def test_a_value_that_makes_no_index_fails_its_own_event_and_creates_nothing(lands: Lands) -> None:
    lands.apply()
    lands.sql.execute(SOME)
    for value in HOSTILE:
        lands.sql.execute("INSERT INTO shop.products SELECT max(id) + 1, %s FROM shop.products", [value])
    lands.drain()
    lands.check(within=5)
    failed = lands.failed()
    assert len(failed) == len(HOSTILE)
    assert {reason for reason, _ in failed} == {"bad_document"}
    for value in HOSTILE:
        shown = "country is NULL" if value is None else f"country is {value!r}"[:90]
        assert any(shown in error for _, error in failed), value
    made = {*lands.engine.indices.get(index=f"{lands.name}*")}
    assert made == {f"{lands.name}-{country}-000001" for country in ("at", "ch", "de")}
    verified = lands.cli("verify", "--projection", "product")
    assert verified.returncode not in (0, 4)
    assert "their country makes no name of one: NULL, ''" in verified.stderr
    assert "then `outboxctl replay --projection product`" in verified.stderr
    assert "makes no name" not in verified.stdout
    assert (
        "their country makes no name of one: NULL, ''"
        in lands.cli("projection", "plan", str(lands.file)).stdout
    )


def test_the_events_of_a_country_whose_index_is_gone_wait_and_no_others(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.drain()
    lands.engine.indices.delete(index=f"{lands.name}-de-000001")
    lands.sql.execute("UPDATE shop.products SET name = 'new'")
    lands.drain()
    expected = {place: row for place, row in lands.rows().items() if place[0] != "de"}
    assert lands.there() == ["at", "ch"], "an index that was deleted is not made anew, with few documents"
    assert lands.held() == expected
    waiting = lands.sql.execute("SELECT error_reason FROM search_outbox_events WHERE status = 'pending'")
    assert {*waiting.fetchall()} == {("index_unavailable",)}
    errors = lands.sql.execute("SELECT error FROM search_outbox_events WHERE status = 'pending'")
    assert all("rebuild --projection product:de" in error for (error,) in errors)
    listed = lands.cli("failed", "list", "--projection", "product:de")
    assert (listed.returncode, "name it product" in listed.stderr) == (2, True)
    lands.apply()
    lands.cli.ok("rebuild", "--projection", "product:de", *WHO, "--yes")
    lands.drain()
    lands.check(within=5)


def test_a_document_that_a_rebuild_has_filled_in_moves_as_any_other(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.sql.execute("DELETE FROM search_outbox_events")  # no worker has sent any of them
    lands.cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    lands.check(within=5)
    lands.sql.execute("UPDATE shop.products SET country = 'li' WHERE id <= 5")
    lands.sql.execute("DELETE FROM shop.products WHERE id = 9")
    lands.drain()
    lands.check(within=5)


class MakesNone(Script):
    """An engine for a login that may write, and make no index."""

    def other(self, request: str) -> ProxyFault:
        """Making one is refused."""
        made = request.startswith("PUT ") and "-000001" in request
        denied = refused(403, "security_exception", "action [indices:admin/create] is unauthorized")
        return denied if made else super().other(request)


def test_where_the_worker_may_make_no_index_events_wait_until_apply_has_made_it(
    lands: Lands, servers: Servers
) -> None:
    lands.apply()
    lands.sql.execute("INSERT INTO shop.products VALUES (1, 'de', 'one')")
    with fake_sink(MakesNone(), upstream=servers.sink) as sink:
        lands.cli("worker", "--drain", env={"ELASTIC_URL": sink.url})
    assert lands.there() == []
    ((status, attempts, error),) = lands.sql.execute(
        "SELECT status, attempts, error FROM search_outbox_events WHERE follow IS NULL"
    ).fetchall()
    assert (status, attempts) == ("pending", 0)
    assert "outboxctl projection apply" in error
    lands.apply()
    lands.drain()
    lands.check(within=5)


def test_an_index_of_others_is_not_written_to(lands: Lands) -> None:
    lands.apply()
    lands.engine.index(index=f"{lands.name}-archive", id="7", document={"of": "somebody"}, refresh=True)
    lands.sql.execute("INSERT INTO shop.products VALUES (7, 'archive', 'mine')")
    lands.drain()
    assert lands.engine.get(index=f"{lands.name}-archive", id="7")["_source"] == {"of": "somebody"}
    (error,) = (
        lands.sql.execute("SELECT error FROM search_outbox_events WHERE follow IS NULL").fetchone() or ()
    )
    assert "does not say that it is one of product" in error
    assert lands.cli("verify", "--projection", "product", "--repair", *WHO, "--yes").returncode != 0
    assert lands.engine.count(index=f"{lands.name}-archive")["count"] == 1
    refused_ = lands.cli("projection", "apply", str(lands.file), *WHO)
    assert refused_.returncode == 2
    assert f"{lands.name}-archive" in refused_.stderr


def test_verify_and_rebuild_go_through_every_index_that_is_there(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.drain()
    lands.sql.execute("DELETE FROM shop.products WHERE country = 'at'")
    lands.drain()
    name = lands.name
    late: dict[str, Any] = {"version": 1, "version_type": "external", "refresh": True}
    lands.engine.index(index=f"{name}-at", id="500", document={"id": 500}, **late)  # of no row
    lands.engine.index(index=f"{name}-at", id="2", document={"id": 2}, **late)  # of a row elsewhere
    lands.engine.delete(index=f"{name}-ch", id="1")
    shown = lands.cli("projection", "preview", "product", "2", "--json")
    assert f"{name}-at-000001" in shown.stdout
    found = json.loads(lands.cli("verify", "--projection", "product", "--json").stdout)["projections"]
    kinds = [{kind: n for kind, n in each["by_kind"].items() if n} for each in found]
    assert kinds == [{"extra": 2}, {"missing": 1}, {}]
    assert lands.cli("check").returncode in (0, 4)
    examined = lands.cli("doctor", "--only", "sink")
    assert "{country}" not in examined.stdout + examined.stderr
    lands.cli("verify", "--projection", "product", "--repair", *WHO, "--yes")
    lands.drain()
    lands.check(within=5)
    lands.sql.execute("UPDATE shop.products SET country = 'at' WHERE id = 1")
    lands.cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    lands.drain()
    lands.check(within=5)
    assert sorted(lands.engine.indices.get(index=f"{name}-*-000002")) == [
        f"{name}-{country}-000002" for country in ("at", "ch", "de")
    ]
    assert lands.cli("verify", "--projection", "product").returncode == 0
    assert lands.cli("projection", "preview", "product", "2").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{country}", "{land}", "has no column 'land'"),
        ("-{country}", "-{country}-{name}", "cannot be an index's name"),
        ("-{country}", "-{", "cannot be an index's name"),
        ("{country}", "{reviews}", ""),
    ],
)
def test_a_column_that_is_not_there_or_a_name_of_none_is_refused(
    lands: Lands, old: str, new: str, said: str
) -> None:
    lands.file.write_text(lands.file.read_text().replace(old, new))
    done = lands.cli("projection", "plan", str(lands.file))
    assert done.returncode == (2 if said else 4)
    assert said in done.stderr


def test_a_name_that_may_be_an_index_of_another_projection_is_refused(lands: Lands) -> None:
    other = lands.file.read_text().replace("projections.product", "projections.other")
    for index in (f"{lands.name}-{{name}}", f"{lands.name}-de", f"{lands.name}-de-000001"):
        file = lands.file.with_name("other.toml")
        file.write_text(lands.file.read_text() + other.replace(f"{lands.name}-{{country}}", index))
        done = lands.cli("projection", "plan", str(file))
        assert done.returncode == 2
        assert "[projections.other] index" in done.stderr
    lands.apply()
    file.write_text(other.replace(f"{lands.name}-{{country}}", f"{lands.name}-de"))
    done = lands.cli("projection", "plan", str(file))
    assert done.returncode == 2
    assert "is the index of product already" in done.stderr


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_comes_from_another_index_has_the_routing_of_its_row(lands: Lands, order: int) -> None:
    lands.sql.execute("ALTER TABLE shop.products ADD tenant text")
    lands.sql.execute("DROP VIEW shop.documents")
    lands.sql.execute("CREATE VIEW shop.documents AS SELECT * FROM shop.products")
    by_name = lands.file.read_text().replace('key = "id"', 'key = "name"')
    more = 'routing = "tenant"\nmapping = "lands.json"'
    lands.file.write_text(by_name + more, encoding="utf-8")
    shards = {"settings": {"number_of_shards": 3}, "mappings": {}}
    lands.file.with_name("lands.json").write_text(json.dumps(shards), encoding="utf-8")
    unique = "ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"
    lands.sql.execute(f"ALTER TABLE shop.products ALTER name SET NOT NULL, {unique}".encode())
    lands.sql.execute("INSERT INTO shop.products VALUES (1, 'at', 'c', 't1'), (2, 'ch', 'a', 't2')")
    lands.apply()
    lands.drain()
    with lands.sql.transaction():
        for name, id_ in (("a", 1), ("b", 2))[::order]:
            lands.sql.execute("UPDATE shop.products SET name = %s WHERE id = %s", (name, id_))
    lands.drain()
    lands.engine.indices.refresh(index=f"{lands.name}-*")
    hits = lands.engine.search(index=f"{lands.name}-*")["hits"]["hits"]
    assert {(hit["_id"], hit["_routing"]) for hit in hits} == {("a", "t1"), ("b", "t2")}
    assert lands.cli("verify", "--projection", "product").returncode == 0


def test_no_index_is_made_of_a_value_that_no_row_has(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    done = lands.cli("rebuild", "--projection", "product:zz", *WHO, "--yes")
    assert done.returncode == 2
    assert "no row has 'zz' for its country" in done.stderr
    assert "at, ch, de" in done.stderr
    assert lands.there() == ["at", "ch", "de"]


def test_a_part_cannot_be_dropped_alone(lands: Lands) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.drain()
    done = lands.cli("projection", "drop", "product:at", *WHO, "--yes")
    assert done.returncode == 2
    assert "drop product, all of it" in done.stderr
    lands.sql.execute("UPDATE shop.products SET name = 'new'")
    lands.drain()
    lands.check(within=5)


def test_an_index_that_is_gone_on_purpose_holds_up_nothing_that_leaves_it(
    lands: Lands, worker: Callable[..., Worker]
) -> None:
    lands.sql.execute(SOME)
    lands.apply()
    lands.drain()
    lands.sql.execute("DELETE FROM shop.products WHERE id = 3")
    lands.drain()
    lands.engine.indices.delete(index=f"{lands.name}-at-000001")
    lands.sql.execute("UPDATE shop.products SET country = 'de' WHERE id = 6")
    lands.sql.execute("DELETE FROM shop.products WHERE id = 9")
    lands.drain()
    lands.check(within=5)
    assert lands.sql.execute("SELECT FROM search_outbox_events WHERE status <> 'done'").rowcount == 0
    lands.sql.execute(LONG_AGO)
    worker()
    eventually(lambda: not lands.sql.execute("SELECT FROM outbox_deletes").rowcount, what="forgotten")
