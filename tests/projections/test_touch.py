"""`outboxctl.touch` writes the text that triggers write, and never leaves a transaction aborted."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import set_json_loads
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import outboxctl
import shop
from outboxctl.core.projections.fields import fields
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from projections.logins import a_login
from projections.store import Store

ID = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
LONG = "12345678901234567890123456789012345678901234567890.5"
SAME: list[tuple[str, str, list[Any]]] = [
    ("uuid", str(ID), [ID, str(ID).upper(), f"{{{ID}}}", ID.hex]),
    ("bigint", "7", [7, "7", "007", "+7", " 7 ", Decimal("7.0")]),
    ("smallint", "-7", [-7, "-007"]),
    ("numeric", "1", [1, "1.0", "1.00", "01", Decimal("1.0"), "1e0"]),
    ("numeric", "120", ["120", "1.2e2", Decimal("1.2E+2")]),
    ("numeric", LONG, [LONG, Decimal(LONG), f"{LONG}00"]),
    ("numeric", "-0.5", ["-.5", "-0.50"]),
    ("date", "2026-01-02", [date(2026, 1, 2), "2026-01-02", "20260102"]),
    ("date", "0044-03-15 BC", ["0044-03-15 BC"]),
    ("char(6)", "ab", ["ab", "ab    "]),
    ("text", "ab ", ["ab "]),
    ("text", "007", ["007"]),
    ("store.color", "red", ["red"]),
]
NONE: list[tuple[str, Any]] = [
    ("uuid", "a0eebc99"),
    ("bigint", "1.0"),
    ("bigint", "9223372036854775808"),
    ("smallint", 40_000),
    ("integer", "seven"),
    ("integer", "\u0667"),
    ("numeric", "1,5"),
    ("numeric", "1e999999"),
    ("date", "2026-02-31"),
    ("date", "tomorrow"),
    ("store.color", "green"),
    ("bigint", ["1", "2"]),
]


@pytest.fixture
def keyed(store: Store) -> Callable[[str], psycopg.Connection]:
    """Put a projection of a table with a key of this type in force, without triggers."""

    def made(kind: str) -> psycopg.Connection:
        store.sql.execute("DROP TABLE IF EXISTS store.things")
        store.sql.execute(f"CREATE TABLE store.things (id {kind} PRIMARY KEY, n int)".encode())
        table = Relation("store", "things")
        with store.db.begin() as connection:
            types = [field.type for field in fields(connection, table) if field.name == "id"]
        key = (KeyColumn("id", types[0]),)
        shop.put_in_force(store.db, Projection("product", table, key, table, store.index, triggers=False))
        return store.sql

    return made


def written(sql: psycopg.Connection) -> list[Any]:
    """Key and entity_id of the events, none of which is left."""
    return sql.execute(
        "WITH gone AS (DELETE FROM search_outbox_events RETURNING entity_key, entity_id)"
        " SELECT DISTINCT entity_key, entity_id = md5('product:' || entity_key)::uuid FROM gone"
    ).fetchall()


def test_whatever_the_form_it_is_the_key_that_triggers_write(
    keyed: Callable[[str], psycopg.Connection],
) -> None:
    for kind, key, given in SAME:
        sql = keyed(kind)
        sql.execute("INSERT INTO store.things VALUES (%s, 1)", [key], prepare=False)
        for each in given:
            outboxctl.touch(sql, "product", each)
            assert written(sql) == [(key, True)], (kind, each)


def test_what_is_no_key_raises_and_the_transaction_goes_on(
    keyed: Callable[[str], psycopg.Connection],
) -> None:
    for kind, given in NONE:
        sql = keyed(kind)
        with sql.transaction():
            with pytest.raises(UsageError, match=r"no key of .*product.*id"):
                outboxctl.touch(sql, "product", given)
            sql.execute("INSERT INTO store.categories VALUES (1, 'kept')")
        assert sql.execute("DELETE FROM store.categories").rowcount == 1
        assert written(sql) == []


def test_each_column_of_a_key_has_its_form(store: Store, url: str) -> None:
    store.sql.execute("CREATE TABLE store.things (a uuid, b numeric, c text, PRIMARY KEY (a, b, c))")
    store.write('"store.products"', '"store.things"')
    store.write('"store.documents"', '"store.things"')
    store.write('key = "id"', 'key = ["a", "b", "c"]')
    store.apply("--no-triggers")
    key = [str(ID).upper(), "1.50", "x:%y"]
    set_json_loads(str, store.sql)  # as an application may
    outboxctl.touch(store.sql, "product", key)
    engine = create_engine(f"postgresql+psycopg://{url.partition('://')[2]}")
    with engine.begin() as connection:
        outboxctl.touch(connection, "product", key)
    with Session(engine) as session:
        outboxctl.touch(session, "product", key)
        with pytest.raises(UsageError):
            outboxctl.touch(session, "product", ["x", "1", "y"])
        session.execute(text("SELECT 1"))
        session.commit()
    engine.dispose()
    count = store.sql.execute("SELECT count(*) FROM search_outbox_events").fetchone()
    assert (count, written(store.sql)) == ((3,), [(f"{ID}:1.5:x%3A%25y", True)])


def test_a_login_that_may_only_insert_events_writes_them_as_they_are_given(
    keyed: Callable[[str], psycopg.Connection],
) -> None:
    sql = keyed("int")
    with a_login(sql, "INSERT ON search_outbox_events") as login, psycopg.connect(login.url) as own:
        outboxctl.touch(own, "product", "007")
        own.commit()
    assert written(sql) == [("007", True)]


def test_without_a_projection_in_force_the_event_is_written_as_it_is_given(sql: psycopg.Connection) -> None:
    outboxctl.touch(sql, "product", "007")
    assert written(sql) == [("007", True)]
