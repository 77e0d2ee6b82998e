"""Making, comparing and dropping the triggers of a projection."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Relation
from projections.shop_tables import (
    OFFERS,
    PRODUCT,
    create_sql,
    faults,
    function,
    keys,
    owners,
    unwatch,
    watch,
)


def test_plain_sql_leaves_what_apply_leaves_and_the_path_of_the_session(
    db: Database, bare: psycopg.Connection
) -> None:
    statement = create_sql(PRODUCT)
    for _ in range(2):
        with bare.transaction():
            bare.execute("SET LOCAL search_path = shop")
            bare.execute(statement)
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
        bare.execute(create_sql(replace(PRODUCT, **change)))
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    assert keys(bare) == []


def test_without_an_outbox_of_this_version_nothing_is_made(bare: psycopg.Connection) -> None:
    bare.execute("ALTER TABLE search_outbox_events RENAME COLUMN entity_key TO other")
    with pytest.raises(psycopg.errors.RaiseException, match="not of this version"):
        bare.execute(create_sql(PRODUCT))


REVIEW, OFFER, LINK, CATEGORY = map(function, ("reviews", "offers", "product_categories", "categories"))
EDITS = [
    ("SELECT 1", []),
    (
        f"DROP TRIGGER {REVIEW}_update ON shop.reviews",
        [("reviews", "NO_TRIGGER", f"{REVIEW}_update")],
    ),
    (
        f"ALTER TABLE shop.reviews DISABLE TRIGGER {REVIEW}_update",
        [("reviews", "DISABLED", f"{REVIEW}_update")],
    ),
    (
        f"CREATE OR REPLACE FUNCTION public.{CATEGORY}() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NULL; END'",
        [("categories", "FUNCTION", CATEGORY)],
    ),
    (
        f"ALTER FUNCTION public.{CATEGORY}() SECURITY INVOKER",
        [("categories", "FUNCTION", CATEGORY)],
    ),
    (
        f"ALTER FUNCTION public.{CATEGORY}() SET search_path = public",
        [("categories", "FUNCTION", CATEGORY)],
    ),
    (
        "CREATE TRIGGER twice AFTER INSERT ON shop.offers FOR EACH STATEMENT"
        f" EXECUTE FUNCTION public.{OFFER}()",
        [("offers", "STRAY", "twice")],
    ),
    (
        f"DROP TRIGGER {OFFER}_delete ON shop.offers; CREATE TRIGGER {OFFER}_delete"
        f" AFTER INSERT ON shop.offers FOR EACH STATEMENT EXECUTE FUNCTION public.{OFFER}()",
        [("offers", "EDITED", f"{OFFER}_delete")],
    ),
    ("ALTER TABLE shop.products RENAME name TO title", [("products", "NO_COLUMN", "name")]),
    (
        f"DROP FUNCTION public.{LINK}() CASCADE",
        [
            ("product_categories", "NO_TRIGGER", f"{LINK}_{each}")
            for each in ("insert", "delete", "update", "truncate")
        ],
    ),
]


@pytest.mark.parametrize(("edit", "found"), EDITS)
def test_what_somebody_did_to_the_triggers_is_found_and_made_good(
    db: Database, watched: psycopg.Connection, edit: str, found: list[tuple[str, str, str]]
) -> None:
    watched.execute(edit.encode())
    assert faults(db) == found
    if "title" in edit:
        watched.execute("ALTER TABLE shop.products RENAME title TO name")
    watch(db, PRODUCT)
    assert faults(db) == []


def test_a_table_that_becomes_partitioned_or_is_followed_no_more(
    db: Database, bare: psycopg.Connection
) -> None:
    watch(db, PRODUCT)
    fewer = replace(PRODUCT, follow=(OFFERS,))
    assert ("reviews", "STRAY", f"{REVIEW}_insert") in faults(db, fewer)
    watch(db, fewer, former=["reviews", "product_categories", "categories"])
    assert faults(db, fewer) == []
    assert owners(bare) != set()
    bare.execute("INSERT INTO shop.reviews (product_id) VALUES (1)")
    assert keys(bare) == []
    bare.execute("INSERT INTO shop.offers VALUES (1, 3)")
    assert keys(bare) == ["1"]
    unwatch(db, fewer)
    assert owners(bare) == set()


def test_triggers_that_are_as_they_should_be_take_no_lock(watched: psycopg.Connection, url: str) -> None:
    with psycopg.connect(url) as busy:
        busy.execute("UPDATE shop.products SET name = 'x'; UPDATE shop.reviews SET stars = 0")
        watched.execute("SET lock_timeout = '2s'")
        watched.execute(create_sql(PRODUCT))
