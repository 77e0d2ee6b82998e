"""Triggers of a projection: exactly the events of what a statement changed, and never a failure of the writer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import Database
from outboxctl.core.projections import documents, trigger_check, triggers, version_base
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow, KeyColumn, Projection, Relation
from projections import shop_tables as shop
from projections.shop_tables import OFFERS, PRODUCT, REVIEWS, keys, taken, watch


@pytest.fixture
def bare(sql: psycopg.Connection) -> psycopg.Connection:
    """The shop's tables with some rows, and no trigger."""
    sql.execute(shop.TABLES.encode())
    sql.execute(
        "INSERT INTO shop.products (id, sku, name) SELECT n, 's' || n, 'p' || n FROM generate_series(1, 4) n"
    )
    sql.execute("INSERT INTO shop.reviews (product_id, stars) VALUES (1, 5), (1, 3), (2, 5), (NULL, 1)")
    sql.execute("INSERT INTO shop.offers VALUES (1, 10), (1, 20), (2, 10)")
    sql.execute("INSERT INTO shop.categories VALUES (1, 'toys'), (2, 'books')")
    sql.execute("INSERT INTO shop.product_categories VALUES (1, 1), (2, 1), (2, 2)")
    return sql


@pytest.fixture
def watched(db: Database, bare: psycopg.Connection) -> psycopg.Connection:
    """The same with the triggers of the projection `product`."""
    watch(db, PRODUCT)
    return bare


ROOT = [
    ("INSERT INTO shop.products (id) VALUES (7), (8)", "7 8"),
    ("INSERT INTO shop.products (id) SELECT 9 WHERE false", ""),
    ("UPDATE shop.products SET name = 'new' WHERE id < 3", "1 2"),
    ("UPDATE shop.products SET name = 'p1'", "2 3 4"),
    ("UPDATE shop.products SET name = name", ""),
    ("UPDATE shop.products SET stock = stock + 1, unused = 'x'", ""),
    ("UPDATE shop.products SET note = '{\"a\": 1}' WHERE id = 1", "1"),
    ("UPDATE shop.products SET place = '(1, 2)' WHERE id = 2", "2"),
    ("UPDATE shop.products SET id = id + 100 WHERE id > 2", "103 104 3 4"),
    ("DELETE FROM shop.products WHERE id > 2", "3 4"),
    ("DELETE FROM shop.products WHERE id > 99", ""),
    ("INSERT INTO shop.products (id) VALUES (1), (9) ON CONFLICT (id) DO UPDATE SET name = 'again'", "1 9"),
    ("INSERT INTO shop.products (id) VALUES (1) ON CONFLICT DO NOTHING", ""),
]
CHILD = [
    ("INSERT INTO shop.reviews (product_id) VALUES (1), (1), (3), (NULL)", "1 3"),
    ("UPDATE shop.reviews SET stars = 4", "1 2"),
    ("UPDATE shop.reviews SET seen = now()", ""),
    ("UPDATE shop.reviews SET product_id = 4 WHERE product_id = 1", "1 4"),
    ("UPDATE shop.reviews SET product_id = NULL WHERE product_id = 2", "2"),
    ("UPDATE shop.reviews SET product_id = 3 WHERE product_id IS NULL", "3"),
    ("DELETE FROM shop.reviews WHERE stars = 5", "1 2"),
    ("DELETE FROM shop.reviews WHERE product_id IS NULL", ""),
    # Offers have no key, and the same values twice after it: one price of each has changed nonetheless.
    ("UPDATE shop.offers SET price = 20 WHERE product_id = 1", "1"),
    ("UPDATE shop.offers SET price = 30 - price WHERE product_id = 1", ""),
    ("UPDATE shop.offers SET product_id = 3 - product_id WHERE price = 10", ""),
    ("UPDATE shop.offers SET product_id = 3 - product_id", "1 2"),
]


@pytest.mark.parametrize(("statement", "expected"), ROOT + CHILD)
def test_a_statement_writes_the_keys_of_what_it_changed(
    watched: psycopg.Connection, statement: str, expected: str
) -> None:
    watched.execute(statement.encode())
    assert keys(watched) == expected.split()


LINKS = [
    ("INSERT INTO shop.product_categories VALUES (3, 2), (4, 2)", ["3", "4"], []),
    ("DELETE FROM shop.product_categories WHERE category_id = 1", ["1", "2"], []),
    ("UPDATE shop.categories SET name = 'games' WHERE id = 1", [], ["1"]),
    ("UPDATE shop.categories SET unused = 'x'", [], []),
    ("UPDATE shop.categories SET name = upper(name)", [], ["1", "2"]),
    ("INSERT INTO shop.categories VALUES (3, 'x')", [], ["3"]),
    # The cascade takes its links away.
    ("DELETE FROM shop.categories WHERE id = 1", ["1", "2"], ["1"]),
    ("UPDATE shop.categories SET id = 3 - id WHERE id < 0", [], []),
]


@pytest.mark.parametrize(("statement", "documents", "rows"), LINKS)
def test_a_row_with_many_documents_behind_it_is_one_event(
    watched: psycopg.Connection, statement: str, documents: list[str], rows: list[str]
) -> None:
    watched.execute(statement.encode())
    found = taken(watched)
    assert [key for _, key, follow in found if follow is None] == documents
    assert [(key, follow) for _, key, follow in found if follow is not None] == [
        (f'{{"id": "{row}"}}', 3) for row in rows
    ]


def test_a_followed_row_whose_parameters_change_is_followed_by_both(watched: psycopg.Connection) -> None:
    watched.execute("INSERT INTO shop.categories VALUES (7, 'x')")
    taken(watched)
    watched.execute("UPDATE shop.categories SET id = 8 WHERE id = 7")
    assert taken(watched) == [("product", '{"id": "7"}', 3), ("product", '{"id": "8"}', 3)]


def test_events_have_the_ids_of_their_keys_and_begin_as_pending(watched: psycopg.Connection) -> None:
    watched.execute("INSERT INTO shop.products (id) VALUES (7)")
    watched.execute("UPDATE shop.categories SET name = 'x' WHERE id = 2")
    watched.execute("TRUNCATE shop.reviews")
    rows = watched.execute(
        "SELECT entity_id, entity_type, op, event_version, status, attempts, replay_count, follow_cursor"
        " FROM search_outbox_events ORDER BY follow NULLS FIRST"
    ).fetchall()
    texts = ["product:7", "product/-1:", 'product/3:{"id": "2"}']
    same = ("product", "upsert", None, "pending", 0, 0, None)
    assert rows == [(UUID(md5(each.encode()).hexdigest()), *same) for each in texts]


def test_what_the_database_changes_by_itself_is_followed(watched: psycopg.Connection) -> None:
    watched.execute("DELETE FROM shop.products WHERE id = 1")
    found = keys(watched)
    assert set(found) == {"1"}
    # The product, two reviews, a link, and two offers that lost it (at least one event for each table).
    assert len(found) >= 4
    watched.execute("ALTER TABLE shop.offers DROP CONSTRAINT offers_product_id_fkey")
    watched.execute("DELETE FROM shop.product_categories")
    taken(watched)
    watched.execute("UPDATE shop.products SET id = 12 WHERE id = 2")
    assert set(keys(watched)) == {"2", "12"}


def test_only_what_is_committed_is_an_event(watched: psycopg.Connection) -> None:
    with watched.transaction():
        watched.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
        with watched.transaction(force_rollback=True):
            watched.execute("UPDATE shop.products SET name = 'x' WHERE id = 2")
        watched.execute("UPDATE shop.reviews SET stars = 1 WHERE product_id = 2")
    with watched.transaction(force_rollback=True):
        watched.execute("DELETE FROM shop.products WHERE id = 3")
    assert keys(watched) == ["1", "2"]


def test_a_truncation_is_one_event_for_each_table(watched: psycopg.Connection) -> None:
    watched.execute("TRUNCATE shop.reviews")
    assert taken(watched) == [("product", "", -1)]
    watched.execute("TRUNCATE shop.categories CASCADE")
    assert taken(watched) == [("product", "", -1)] * 2
    watched.execute("TRUNCATE shop.products CASCADE")
    assert taken(watched) == [("product", "", -1)] * 4
    watched.execute("TRUNCATE shop.products CASCADE")
    assert {follow for _, _, follow in taken(watched)} == {-1}


def test_copied_rows_are_events(watched: psycopg.Connection) -> None:
    with watched.cursor().copy("COPY shop.products (id) FROM STDIN") as copy:
        copy.write("21\n22\n")
    assert keys(watched) == ["21", "22"]


def test_keys_that_are_swapped_are_both_changed(db: Database, sql: psycopg.Connection) -> None:
    sql.execute("CREATE SCHEMA shop; CREATE TABLE shop.swap (id bigint, name text, UNIQUE (id) DEFERRABLE)")
    sql.execute("INSERT INTO shop.swap VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'c')")
    watch(db, shop.of("swap", columns=("name",)))
    sql.execute("UPDATE shop.swap SET id = 3 - id WHERE id < 3")
    assert keys(sql) == ["1", "2"]
    sql.execute("UPDATE shop.swap SET id = 7 - id WHERE id > 2")
    assert keys(sql) == []  # as if nothing had happened


def test_a_table_that_is_followed_besides_being_the_root(db: Database, bare: psycopg.Connection) -> None:
    """A product shows the name of its parent: what a row says reaches its own document and its children's."""
    children = Follow(
        shop.shop("products"),
        keys="SELECT id FROM shop.products WHERE parent_id = :id",
        parameters=("id",),
        columns=("name",),
    )
    watch(db, replace(PRODUCT, columns=("name", "parent_id"), follow=(children, REVIEWS)))
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    assert taken(bare) == [("product", "1", None), ("product", '{"id": "1"}', 0)]
    bare.execute("UPDATE shop.products SET parent_id = 1 WHERE id = 2")
    assert taken(bare) == [("product", "2", None)]


TYPES = [
    (
        "uuid",
        "pg_catalog.uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    ("smallint", "pg_catalog.int2", "-3", "-3"),
    ("text", "pg_catalog.text", "' Ä:%''\"\\'", " Ä:%'\"\\"),
    ("text", "pg_catalog.text", "''", ""),
    ("text", "pg_catalog.text", "repeat('k', 2000)", "k" * 2000),
    ("varchar(5)", "pg_catalog.varchar", "'v'", "v"),
    ("character(5)", "pg_catalog.bpchar", "'b'", "b"),
    ("numeric", "pg_catalog.numeric", "10.00", "10"),
    ("numeric", "pg_catalog.numeric", "-0.500", "-0.5"),
    ("numeric", "pg_catalog.numeric", "1200", "1200"),
    ("numeric", "pg_catalog.numeric", "0.00", "0"),
    ("numeric", "pg_catalog.numeric", "'NaN'", "NaN"),
    ("date", "pg_catalog.date", "'2024-03-01'", "2024-03-01"),
    ("date", "pg_catalog.date", "'0044-03-15 BC'", "0044-03-15 BC"),
    ("shop.state", "shop.state", "'on: sale'", "on: sale"),
]


@pytest.mark.parametrize("rows", [False, True], ids=["plain", "partitioned"])
@pytest.mark.parametrize(("declared", "kind", "value", "expected"), TYPES)
def test_keys_have_one_text_in_every_session_and_find_their_document(
    db: Database, sql: psycopg.Connection, declared: str, kind: str, value: str, expected: str, rows: bool
) -> None:
    sql.execute("CREATE SCHEMA shop; CREATE TYPE shop.state AS ENUM ('on: sale')")
    by = "PARTITION BY LIST (n)" if rows else ""
    sql.execute(f"CREATE TABLE shop.typed (id {declared}, n int, a json) {by}".encode())
    if rows:
        sql.execute("CREATE TABLE shop.part PARTITION OF shop.typed DEFAULT")
    typed = shop.of("typed", kind=kind)
    watch(db, typed)
    sql.execute("SET DateStyle = 'German'; SET extra_float_digits = -15; SET TimeZone = 'Asia/Tokyo'")
    sql.execute(f"SET DateStyle = 'ISO'; INSERT INTO shop.typed VALUES ({value}, 1)".encode())
    sql.execute("SET DateStyle = 'German'; UPDATE shop.typed SET n = 2")
    sql.execute("SELECT set_config('search_path', 'shop', false)")
    sql.execute("UPDATE shop.typed SET n = 3")
    sql.execute("UPDATE shop.typed SET n = 3")
    assert keys(sql) == [expected] * 3
    with db.begin() as connection:
        version_base.raise_base(connection)
    with db.begin() as connection:
        found = documents.read(connection, typed, [expected], seconds=5)
    assert [json.loads(text or "null")["n"] for text in found.texts] == [3]


def test_composite_keys_are_escaped_and_references_to_them_too(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(
        """CREATE SCHEMA "Shop: %"; CREATE TABLE "Shop: %"."Pro""ducts $outbox$" ("I:d" text, "%b" numeric, "$trigger$" int,
            PRIMARY KEY ("I:d", "%b"));
        CREATE TABLE "Shop: %"."{child}" (n numeric, t text,
            FOREIGN KEY (t, n) REFERENCES "Shop: %"."Pro""ducts $outbox$" ON DELETE SET NULL)"""
    )
    root = Relation("Shop: %", 'Pro"ducts $outbox$')
    key = (KeyColumn("I:d", "pg_catalog.text"), KeyColumn("%b", "pg_catalog.numeric"))
    child = Follow(Relation("Shop: %", "{child}"), key=("t", "n"))
    watch(db, Projection("odd", root, key, root, "odd", columns=("$trigger$",), follow=(child,)))
    sql.execute("""INSERT INTO "Shop: %"."Pro""ducts $outbox$" VALUES ('a:b%', 1.50), ('c', 2)""")
    assert keys(sql) == ["a%3Ab%25:1.5", "c:2"]
    sql.execute("""INSERT INTO "Shop: %"."{child}" VALUES (1.5, 'a:b%'), (NULL, 'c'), (NULL, NULL)""")
    assert keys(sql) == ["a%3Ab%25:1.5"]
    sql.execute("""DELETE FROM "Shop: %"."Pro""ducts $outbox$" """)
    assert set(keys(sql)) == {"a%3Ab%25:1.5", "c:2"}


PARTITIONED = """
CREATE TABLE shop.lines (id bigint, day date, product_id bigint, text text, PRIMARY KEY (id, day))
    PARTITION BY RANGE (day);
CREATE TABLE shop.lines_2024 PARTITION OF shop.lines FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.lines_2025 (x int, id bigint NOT NULL, text text, day date NOT NULL, product_id bigint);
ALTER TABLE shop.lines_2025 DROP COLUMN x;
ALTER TABLE shop.lines ATTACH PARTITION shop.lines_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
"""


def test_partitions_are_watched_whoever_writes_to_which(db: Database, bare: psycopg.Connection) -> None:
    bare.execute(PARTITIONED.encode())
    watch(db, replace(PRODUCT, follow=(Follow(shop.shop("lines"), key=("product_id",), columns=("text",)),)))
    bare.execute(
        "INSERT INTO shop.lines VALUES (1, '2024-05-05', 1), (2, '2025-05-05', 2), (3, '2025-05-05', NULL)"
    )
    assert keys(bare) == ["1", "2"]
    bare.execute("INSERT INTO shop.lines_2025 (id, day, product_id) VALUES (4, '2025-05-05', 4)")
    assert keys(bare) == ["4"]
    bare.execute("UPDATE shop.lines SET day = '2025-06-06' WHERE id = 1")
    assert set(keys(bare)) == {"1"}
    bare.execute("UPDATE shop.lines_2025 SET text = 'x', product_id = 3 WHERE id = 4")
    assert keys(bare) == ["3", "4"]
    bare.execute("UPDATE shop.lines SET id = id + 10; UPDATE shop.lines SET text = text")
    assert keys(bare) == []
    bare.execute(
        "CREATE TABLE shop.lines_2026 PARTITION OF shop.lines FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    bare.execute("INSERT INTO shop.lines VALUES (9, '2026-05-05', 1)")
    assert keys(bare) == ["1"]
    bare.execute("DELETE FROM shop.lines WHERE product_id = 2")
    assert keys(bare) == ["2"]
    bare.execute("TRUNCATE shop.lines")
    assert taken(bare) == [("product", "", -1)]


def test_a_partition_as_the_root_hears_of_writes_to_its_parent(
    db: Database, bare: psycopg.Connection
) -> None:
    bare.execute(PARTITIONED.encode())
    watch(db, shop.of("lines_2024"))
    bare.execute("INSERT INTO shop.lines VALUES (1, '2024-05-05', 1), (2, '2025-05-05', 2)")
    assert keys(bare) == ["1"]


@pytest.fixture
def writer(watched: psycopg.Connection, url: str) -> Iterator[psycopg.Connection]:
    """A login that may write to the shop, and has no right on the outbox."""
    name = f"t{uuid4().hex[:8]}"
    watched.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(Identifier(name)))
    watched.execute(SQL("GRANT USAGE ON SCHEMA shop TO {}").format(Identifier(name)))
    rights = "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop TO {}"
    watched.execute(SQL(rights).format(Identifier(name)))
    with psycopg.connect(url, user=name, password="secret", autocommit=True) as own:
        yield own
    watched.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(name)))


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_needs_no_right_on_the_outbox_at_any_level(
    watched: psycopg.Connection, writer: psycopg.Connection, level: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("SELECT FROM public.search_outbox_events")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(
            "CREATE TEMP TABLE own (id int); CREATE TRIGGER t AFTER INSERT ON own FOR EACH ROW"
            " EXECUTE FUNCTION public.outbox_product_root()"
        )
    writer.execute("ROLLBACK")
    with writer.transaction():
        writer.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        writer.execute("UPDATE shop.products SET name = 'mine' WHERE id = 1")
        # Another transaction changes what this one does not, after its snapshot.
        watched.execute("UPDATE shop.products SET name = 'other' WHERE id = 2")
        writer.execute("INSERT INTO shop.reviews (id, product_id) VALUES (77, 3)")
        writer.execute("UPDATE shop.categories SET name = 'c' WHERE id = 1")
    writer.execute("TRUNCATE shop.offers")
    assert [(key, follow) for _, key, follow in taken(watched)] == [
        ("1", None),
        ("2", None),
        ("3", None),
        ("", -1),
        ('{"id": "1"}', 3),
    ]


ATTACKS = """
SET search_path = mine, public, pg_catalog;
CREATE TEMP TABLE search_outbox_events (LIKE public.search_outbox_events);
CREATE TEMP TABLE new_rows (id bigint, name text, note json, place point);
CREATE FUNCTION mine.md5(text) RETURNS text LANGUAGE sql AS 'SELECT ''stolen''';
CREATE FUNCTION mine.concat(bigint) RETURNS text LANGUAGE sql AS 'SELECT ''stolen''';
CREATE FUNCTION mine.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
CREATE FUNCTION mine.join(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''stolen''';
CREATE OPERATOR mine.|| (FUNCTION = mine.join, LEFTARG = text, RIGHTARG = text);
"""


def test_the_session_of_the_writer_changes_nothing(watched: psycopg.Connection, url: str) -> None:
    watched.execute("CREATE SCHEMA mine")
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(ATTACKS.encode())
        session.execute("INSERT INTO shop.products (id, name) VALUES (7, 'x')")
        session.execute("UPDATE shop.products SET name = 'y' WHERE id = 7")
        session.execute("DELETE FROM shop.products WHERE id = 7")
        assert session.execute("SHOW search_path").fetchone() == ("mine, public, pg_catalog",)
    rows = watched.execute("SELECT entity_key, entity_id FROM public.search_outbox_events").fetchall()
    assert rows == [("7", UUID(md5(b"product:7").hexdigest()))] * 3


def test_the_owner_of_a_columns_type_runs_nothing_with_the_rights_of_the_functions_owner(
    db: Database, sql: psycopg.Connection
) -> None:
    sql.execute("CREATE SCHEMA shop; CREATE TYPE shop.state AS ENUM ('a', 'b')")
    sql.execute("CREATE TABLE shop.typed (id shop.state, s shop.state)")
    child = Follow(shop.shop("typed"), keys="SELECT :s", parameters=("s",))
    watch(db, shop.of("typed", kind="shop.state", columns=("s",), follow=(child,)))
    for kind in ("text", "varchar", "numeric"):
        sql.execute(
            f"CREATE FUNCTION shop.evil_{kind}(shop.state) RETURNS {kind} LANGUAGE plpgsql AS"
            " 'BEGIN RAISE ''stolen''; END'".encode()
        )
        sql.execute(
            f"CREATE CAST (shop.state AS {kind}) WITH FUNCTION shop.evil_{kind}(shop.state) AS IMPLICIT".encode()
        )
    sql.execute("INSERT INTO shop.typed VALUES ('a', 'b')")
    sql.execute("UPDATE shop.typed SET s = 'a'")
    assert [key for _, key, _ in taken(sql)] == ["a", "a", '{"s": "a"}', '{"s": "b"}', '{"s": "b"}']


def test_a_column_that_is_renamed_or_gone_fails_no_write(watched: psycopg.Connection) -> None:
    watched.execute("ALTER TABLE shop.products RENAME COLUMN name TO title")
    watched.execute("UPDATE shop.products SET title = 'x' WHERE id = 1")
    assert taken(watched) == [("product", "", -1)]
    watched.execute("ALTER TABLE shop.categories RENAME COLUMN id TO number")
    watched.execute("UPDATE shop.categories SET name = 'x'")
    assert taken(watched) == [("product", "", -1)]
    watched.execute(
        "ALTER TABLE shop.reviews RENAME TO opinions; ALTER TABLE shop.opinions SET SCHEMA public"
    )
    watched.execute("UPDATE public.opinions SET stars = 0 WHERE product_id = 1")
    assert keys(watched) == ["1"]


def test_a_column_that_the_document_uses_is_not_dropped(watched: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        watched.execute("ALTER TABLE shop.reviews DROP COLUMN stars")


@pytest.mark.parametrize("name", ["p", "a_1", "x" * 50])
def test_names_fit_and_projections_do_not_meet(db: Database, bare: psycopg.Connection, name: str) -> None:
    follow = tuple(Follow(shop.shop("reviews"), key=("product_id",)) for _ in range(12))
    for each in (name, "a", f"{'x' * 49}y"):
        watch(db, replace(PRODUCT, name=each, follow=follow))
    with db.begin() as connection:
        triggers.drop(connection, "a")
    bare.execute("INSERT INTO shop.products (id) VALUES (7)")
    assert [kind for kind, _, _ in taken(bare)] == [name, f"{'x' * 49}y"]


def roles(sql: psycopg.Connection, *names: str) -> None:
    for name in names:
        sql.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(Identifier(name)))


@pytest.fixture
def owner(bare: psycopg.Connection) -> Iterator[str]:
    """Owns the shop and the outbox, and is no superuser."""
    name = f"t{uuid4().hex[:8]}"
    roles(bare, name)
    tables = (
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace IN"
        " ('shop'::regnamespace, 'public'::regnamespace)"
    )
    bare.execute(
        SQL("ALTER SCHEMA shop OWNER TO {0}; ALTER SCHEMA public OWNER TO {0}").format(Identifier(name))
    )
    for (table,) in bare.execute(tables).fetchall():
        bare.execute(SQL("ALTER TABLE {} OWNER TO {}").format(SQL(table), Identifier(name)))
    yield name
    bare.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(name)))


def owners(sql: psycopg.Connection) -> set[str]:
    found = sql.execute("SELECT proowner::regrole::text FROM pg_proc WHERE proname ~ '^outbox_product_'")
    return {name for (name,) in found}


def test_functions_have_no_more_rights_than_the_owner_of_the_outbox(
    db: Database, bare: psycopg.Connection, owner: str, url: str
) -> None:
    watch(db, PRODUCT)
    assert owners(bare) == {owner}
    with psycopg.connect(url, user=owner, password="secret", autocommit=True) as own:
        own.execute(triggers.create_sql(PRODUCT, "public", []).encode())
        own.execute("INSERT INTO shop.products (id) VALUES (7)")
        assert keys(bare) == ["7"]
        own.execute(triggers.drop_sql("product", "public").encode())
    assert owners(bare) == set()


def test_a_function_that_somebody_else_owns_is_not_adopted(
    db: Database, bare: psycopg.Connection, owner: str
) -> None:
    mallory = f"{owner}m"
    roles(bare, mallory)
    make = "CREATE FUNCTION public.outbox_product_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    bare.execute(make.encode())
    bare.execute(SQL("ALTER FUNCTION public.outbox_product_1() OWNER TO {}").format(Identifier(mallory)))
    try:
        with pytest.raises(UsageError, match=mallory) as refused:
            watch(db, PRODUCT)
        assert "OWNER TO" in refused.value.hint
        with pytest.raises(psycopg.errors.RaiseException, match=mallory):
            bare.execute(triggers.create_sql(PRODUCT, "public", []).encode())
        assert bare.execute("SELECT FROM pg_trigger WHERE tgname ~ '^outbox_product'").fetchall() == []
    finally:
        bare.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(mallory)))


def test_who_may_insert_no_event_makes_no_trigger(bare: psycopg.Connection, owner: str, url: str) -> None:
    """The application's writes would fail."""
    other = f"{owner}o"
    roles(bare, other)
    bare.execute(SQL("GRANT TRIGGER ON ALL TABLES IN SCHEMA shop TO {0}").format(Identifier(other)))
    bare.execute(SQL("GRANT USAGE ON SCHEMA shop TO {0}").format(Identifier(other)))
    bare.execute(SQL("GRANT USAGE, CREATE ON SCHEMA public TO {0}").format(Identifier(other)))
    try:
        with psycopg.connect(url, user=other, password="secret", autocommit=True) as own:
            statement = triggers.create_sql(PRODUCT, "public", []).encode()
            with pytest.raises(psycopg.errors.RaiseException, match="may not insert events"):
                own.execute(statement)
            bare.execute(SQL("GRANT INSERT ON public.search_outbox_events TO {}").format(Identifier(other)))
            own.execute(statement)
        bare.execute("INSERT INTO shop.products (id) VALUES (7)")
        assert keys(bare) == ["7"]
    finally:
        bare.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(other)))


def test_plain_sql_leaves_what_apply_leaves_and_the_path_of_the_session(
    db: Database, bare: psycopg.Connection
) -> None:
    statement = triggers.create_sql(PRODUCT, "public", [])
    for _ in range(2):
        with bare.transaction():
            bare.execute("SET LOCAL search_path = shop")
            bare.execute(statement.encode())
            assert bare.execute("SHOW search_path").fetchone() == ("shop",)
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    assert keys(bare) == ["1"]
    assert faults(db) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ("nowhere",)}, "no column nowhere"),
        ({"root": Relation("shop", "none")}, 'relation "shop.none" does not exist'),
    ],
)
def test_what_is_not_there_fails_at_once_and_not_at_the_next_write(
    bare: psycopg.Connection, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message):
        bare.execute(triggers.create_sql(replace(PRODUCT, **change), "public", []).encode())
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    assert keys(bare) == []


def test_without_an_outbox_of_this_version_nothing_is_made(bare: psycopg.Connection) -> None:
    bare.execute("ALTER TABLE search_outbox_events RENAME COLUMN entity_key TO other")
    with pytest.raises(psycopg.errors.RaiseException, match="not of this version"):
        bare.execute(triggers.create_sql(PRODUCT, "public", []).encode())


def faults(db: Database, projection: Projection = PRODUCT) -> list[tuple[str, str, str]]:
    with db.begin() as connection:
        found = trigger_check.installed(connection, projection)
    return [(each.table.name, each.fault.name, each.name) for each in found]


EDITS = [
    ("SELECT 1", []),
    (
        "DROP TRIGGER outbox_product_0_update ON shop.reviews",
        [("reviews", "NO_TRIGGER", "outbox_product_0_update")],
    ),
    (
        "ALTER TABLE shop.reviews DISABLE TRIGGER outbox_product_0_update",
        [("reviews", "DISABLED", "outbox_product_0_update")],
    ),
    (
        "CREATE OR REPLACE FUNCTION public.outbox_product_3() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NULL; END'",
        [("categories", "FUNCTION", "outbox_product_3")],
    ),
    (
        "ALTER FUNCTION public.outbox_product_3() SECURITY INVOKER",
        [("categories", "FUNCTION", "outbox_product_3")],
    ),
    (
        "ALTER FUNCTION public.outbox_product_3() SET search_path = public",
        [("categories", "FUNCTION", "outbox_product_3")],
    ),
    (
        "CREATE TRIGGER twice AFTER INSERT ON shop.offers FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_product_1()",
        [("offers", "STRAY", "twice")],
    ),
    (
        "DROP TRIGGER outbox_product_1_delete ON shop.offers; CREATE TRIGGER outbox_product_1_delete"
        " AFTER INSERT ON shop.offers FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_product_1()",
        [("offers", "EDITED", "outbox_product_1_delete")],
    ),
    ("ALTER TABLE shop.products RENAME name TO title", [("products", "NO_COLUMN", "name")]),
    (
        "DROP FUNCTION public.outbox_product_2() CASCADE",
        [
            ("product_categories", "NO_TRIGGER", f"outbox_product_2_{each}")
            for each in ("insert", "update", "delete", "truncate")
        ],
    ),
]


@pytest.mark.parametrize(("edit", "found"), EDITS)
def test_what_somebody_did_to_the_triggers_is_found_and_made_good(
    db: Database, watched: psycopg.Connection, edit: str, found: list[tuple[str, str, str]]
) -> None:
    watched.execute(edit.encode())
    assert faults(db) == found
    watched.execute("ALTER TABLE shop.products RENAME title TO name") if "title" in edit else None
    watch(db, PRODUCT)
    assert faults(db) == []


def test_a_partition_whose_trigger_is_disabled_is_found(db: Database, bare: psycopg.Connection) -> None:
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    watch(db, lines)
    assert faults(db, lines) == []
    bare.execute("ALTER TABLE shop.lines_2025 DISABLE TRIGGER outbox_lines_root_row")
    assert faults(db, lines) == [("lines", "DISABLED", "outbox_lines_root_row")]


def test_a_table_that_becomes_partitioned_or_is_followed_no_more(
    db: Database, bare: psycopg.Connection
) -> None:
    watch(db, PRODUCT)
    fewer = replace(PRODUCT, follow=(OFFERS,))
    assert ("reviews", "STRAY", "outbox_product_0_insert") in faults(db, fewer)
    watch(db, fewer)
    assert faults(db, fewer) == []
    assert owners(bare) != set()
    bare.execute("INSERT INTO shop.reviews (product_id) VALUES (1)")
    assert keys(bare) == []
    bare.execute("INSERT INTO shop.offers VALUES (1, 3)")
    assert keys(bare) == ["1"]
    with db.begin() as connection:
        triggers.drop(connection, "product")
    assert owners(bare) == set()


def test_triggers_that_are_as_they_should_be_take_no_lock(
    db: Database, watched: psycopg.Connection, url: str
) -> None:
    with psycopg.connect(url) as busy:
        busy.execute("UPDATE shop.products SET name = 'x'; UPDATE shop.reviews SET stars = 0")
        watched.execute("SET lock_timeout = '2s'")
        watched.execute(triggers.create_sql(PRODUCT, "public", []).encode())
