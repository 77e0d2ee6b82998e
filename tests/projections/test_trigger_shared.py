"""One function and one set of triggers a table, whatever the number of projections that use it."""

import threading
from dataclasses import replace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.shop_tables import LINKS, PRODUCT, faults, taken, unwatch, watch

TRIGGERS = (
    "SELECT tgname::text FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname ~ '^outbox_' ORDER BY 1"
)
# A basket shows its products' stock and name.
STOCKED = Follow(
    shop.shop("products"), keys="SELECT :id", parameters=("id",), columns=("name", "stock"), name="stocked"
)
BASKET = shop.of("categories", kind="pg_catalog.int4", columns=("name",), follow=(STOCKED, LINKS))
STOCK = shop.of("products", columns=("stock",))


@pytest.fixture
def two(db: Database, watched: psycopg.Connection) -> psycopg.Connection:
    """The shop with two projections, which share three tables."""
    watch(db, BASKET, PRODUCT)
    return watched


CHANGES = [
    ("UPDATE shop.products SET name = 'x' WHERE id < 3", ["1", "2"], ["1", "2"]),
    ("UPDATE shop.products SET stock = 7 WHERE id < 3", [], ["1", "2"]),
    ("UPDATE shop.products SET stock = 7 WHERE id = 3", [], ["3"]),
    ("UPDATE shop.products SET note = '{}'", ["1", "2", "3", "4"], []),
    ("UPDATE shop.products SET note = '{}' WHERE id = 3", ["3"], []),
    (
        "UPDATE shop.products SET stock = id, name = CASE id WHEN 1 THEN 'x' ELSE name END",
        ["1"],
        ["1", "2", "3", "4"],
    ),
    ("UPDATE shop.products SET unused = 'x'", [], []),
    ("UPDATE shop.products SET unused = 'x' WHERE id = 3", [], []),
    ("UPDATE shop.products SET id = 9 WHERE id = 4", ["4", "9"], ["4", "9"]),
    ("INSERT INTO shop.products (id) VALUES (7)", ["7"], ["7"]),
    ("INSERT INTO shop.products (id) VALUES (7), (8)", ["7", "8"], ["7", "8"]),
    ("DELETE FROM shop.products WHERE id > 2", ["3", "4"], ["3", "4"]),
    ("DELETE FROM shop.products WHERE id = 3", ["3"], ["3"]),
]


@pytest.mark.parametrize(("change", "documents", "rows"), CHANGES)
def test_each_projection_has_the_events_of_its_own_columns(
    two: psycopg.Connection, change: str, documents: list[str], rows: list[str]
) -> None:
    two.execute(change.encode())
    ids = two.execute("SELECT id FROM search_outbox_events ORDER BY ctid").fetchall()
    assert ids == sorted({*ids})
    assert {(each.version, each.variant) for (each,) in ids} <= {(7, "specified in RFC 4122")}
    found = taken(two)
    assert [key for kind, key, _ in found if kind == "product"] == documents
    followed = [(f'{{"": "stocked", "id": "{row}"}}', 0) for row in rows]
    assert [(key, follow) for kind, key, follow in found if kind == "categories"] == followed


def test_a_third_apply_beside_writers_loses_nothing(db: Database, two: psycopg.Connection, url: str) -> None:
    """Each write has one event of each projection that was there, whenever the third one comes and goes."""
    two.execute("INSERT INTO shop.products (id) SELECT generate_series(11, 14)")
    taken(two)
    writes, stop = [0] * 4, threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as session:
            while not stop.is_set():
                writes[number] += 1
                session.execute(
                    "UPDATE shop.products SET name = %s WHERE id = %s", [str(writes[number]), 11 + number]
                )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    try:
        for _ in range(5):
            watch(db, STOCK, PRODUCT, BASKET)
            unwatch(db, STOCK, PRODUCT, BASKET)
    finally:
        stop.set()
        for each in threads:
            each.join(60)
    found = [kind for kind, _, _ in taken(two)]
    assert found.count("product") == found.count("categories") == sum(writes) > 100


def test_a_column_that_one_of_them_lost_reaches_all_documents_of_that_one_alone(
    db: Database, two: psycopg.Connection
) -> None:
    two.execute("ALTER TABLE shop.products RENAME stock TO amount")
    for change, key in (
        ("UPDATE shop.products SET name = 'x' WHERE id = 1", "1"),
        ("UPDATE shop.products SET name = 'y' WHERE id = 1", "1"),
    ):
        two.execute(change.encode())
        assert taken(two) == [("product", key, None), ("categories", "", -1)]
    two.execute("INSERT INTO shop.products (id) VALUES (7)")
    assert len(taken(two)) == 2
    # Made again for the other one, it knows that the column is gone.
    watch(db, PRODUCT, BASKET)
    assert faults(db, PRODUCT, BASKET) == []
    two.execute("UPDATE shop.products SET amount = 3 WHERE id = 1")
    assert taken(two) == [("categories", "", -1)]
    two.execute("UPDATE shop.products SET name = 'z' WHERE id < 3")
    assert sorted(kind for kind, _, _ in taken(two)) == ["categories", "product", "product"]


NAMES = [
    *("entity_key", "follow", "place", "prefix", "before", "after", "old", "new", "number", "gone", "more"),
    *("c", "o", "n", "v", "o1", "id_time", "outboxctl", "key_now_1"),
]


@pytest.mark.parametrize("partitioned", [False, True])
def test_columns_with_the_names_of_the_functions_own_ones(
    db: Database, sql: psycopg.Connection, partitioned: bool
) -> None:
    """An ambiguous name would fail the application's writes."""
    columns = ", ".join(f"{name} int" for name in NAMES)
    by = "PARTITION BY RANGE (id)" if partitioned else ""
    sql.execute(f"CREATE SCHEMA shop; CREATE TABLE shop.odd (id bigint PRIMARY KEY, {columns}) {by}".encode())
    if partitioned:
        sql.execute("CREATE TABLE shop.part PARTITION OF shop.odd FOR VALUES FROM (1) TO (9)")
    keyed = Follow(shop.shop("odd"), keys="SELECT :number", parameters=("number", "entity_key"))
    first = shop.of("odd", key="entity_key", follow=(Follow(shop.shop("odd"), key=("place",)), keyed))
    second = replace(shop.of("odd", columns=tuple(NAMES)), name="other")
    watch(db, first)
    watch(db, second, first)
    if partitioned:
        sql.execute("CREATE TABLE shop.later PARTITION OF shop.odd FOR VALUES FROM (11) TO (19)")
    for ids in ((3, 3), (1, 2), (13, 13), (11, 12))[: 4 if partitioned else 2]:
        table, where = "later" if ids[0] > 9 else "odd", f"WHERE id BETWEEN {ids[0]} AND {ids[1]}"
        for change in (
            f"INSERT INTO shop.{table} (id, entity_key, place, number)"
            f" SELECT n, n, n, n FROM generate_series({ids[0]}, {ids[1]}) n",
            f"UPDATE shop.{table} SET before = 1, after = 2 {where}",
            f"DELETE FROM shop.{table} {where}",
        ):
            sql.execute(change.encode())
            assert len(taken(sql)) == 4 * (ids[1] - ids[0] + 1), change


UNIQUE = "SELECT count(*), count(DISTINCT id) FROM public.search_outbox_events"


def test_sessions_that_write_at_the_same_time_make_different_ones(
    watched: psycopg.Connection, url: str
) -> None:
    watched.execute("ALTER TABLE search_outbox_events DROP CONSTRAINT search_outbox_events_pkey")

    def write(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("SELECT setseed(0.5)")
            for _ in range(100):
                session.execute("UPDATE shop.reviews SET stars = stars + 1 WHERE id = %s", [number])

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert watched.execute(UNIQUE).fetchone() == (300, 300)
