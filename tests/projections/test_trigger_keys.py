"""Keys of all types and names: one text in every session, by which the document is found."""

import json
from dataclasses import replace

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import Database
from outboxctl.core.projections import documents, version_base
from outboxctl.domain.projection import Follow, KeyColumn, Projection, Relation
from projections import shop_tables as shop
from projections.shop_tables import PRODUCT, create_sql, drop_sql, keys, owners, taken, unwatch, watch

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
    if not expected:
        assert "empty" in found.unusable[0]
        return
    assert [json.loads(text or "null")["n"] for text in found.texts] == [3]


def test_composite_keys_are_escaped_and_references_to_them_too(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(
        """CREATE SCHEMA "Shop: %"; CREATE TABLE "Shop: %"."Pro""ducts $outbox$" (
            "I:d" text, "%b" numeric, "$trigger$" int, PRIMARY KEY ("I:d", "%b"));
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


@pytest.mark.parametrize("name", ["p", "a_1", "x" * 50])
def test_names_fit_and_projections_do_not_meet(db: Database, bare: psycopg.Connection, name: str) -> None:
    follow = tuple(Follow(shop.shop("reviews"), key=("product_id",)) for _ in range(12))
    names = (name, "a", f"{'x' * 49}y")
    all_ = [replace(PRODUCT, name=each, follow=follow) for each in names]
    for number, each in enumerate(all_):
        watch(db, each, *all_[:number])
    unwatch(db, all_[1], *all_)
    bare.execute("INSERT INTO shop.products (id) VALUES (7)")
    assert [kind for kind, _, _ in taken(bare)] == [name, f"{'x' * 49}y"]


@pytest.mark.parametrize("schema", ["of app", "q\"uo'te%s{x}", "$outbox$", "\u4e2d:a"])
def test_an_outbox_in_a_schema_of_any_name(bare: psycopg.Connection, schema: str) -> None:
    bare.execute(
        SQL("CREATE SCHEMA {0}; ALTER TABLE search_outbox_events SET SCHEMA {0}").format(Identifier(schema))
    )
    for _ in range(2):
        bare.execute(create_sql(PRODUCT, schema))
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    bare.execute("UPDATE shop.categories SET name = 'x' WHERE id = 1")
    count = SQL("SELECT count(*) FROM {}.search_outbox_events").format(Identifier(schema))
    assert bare.execute(count).fetchone() == (2,)
    bare.execute(drop_sql(PRODUCT, schema))
    assert owners(bare) == set()
