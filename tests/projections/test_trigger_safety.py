"""Writers need no right and fail for nothing; nobody gets the rights of the functions' owner."""

from dataclasses import replace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.logins import Login, a_login
from projections.shop_tables import (
    OFFERS,
    PRODUCT,
    create_sql,
    drop_sql,
    event_id,
    function,
    keys,
    owners,
    taken,
    watch,
)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_needs_no_right_on_the_outbox_at_any_level(
    watched: psycopg.Connection, writer: psycopg.Connection, level: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("SELECT FROM public.search_outbox_events")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(
            "CREATE TEMP TABLE own (id int); CREATE TRIGGER t AFTER INSERT ON own FOR EACH ROW"
            f" EXECUTE FUNCTION public.{function('products')}()".encode()
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
    assert rows == [("7", event_id("product:7"))] * 3


def test_a_session_that_shows_few_digits_hides_no_change(db: Database, bare: psycopg.Connection) -> None:
    bare.execute("ALTER TABLE shop.offers ADD COLUMN share float8, ADD COLUMN until timestamptz")
    watch(db, replace(PRODUCT, follow=(replace(OFFERS, columns=("share", "until")),)))
    bare.execute("SET extra_float_digits = -15; SET DateStyle = 'SQL'; SET TimeZone = 'Europe/Moscow'")
    bare.execute("UPDATE shop.offers SET share = 1.5, until = '2014-10-25 21:30Z' WHERE product_id = 2")
    bare.execute("UPDATE shop.offers SET share = 1.51 WHERE product_id = 2")
    bare.execute("UPDATE shop.offers SET until = '2014-10-25 22:30Z' WHERE product_id = 2")
    assert keys(bare) == ["2", "2", "2"]


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
        cast = f"CREATE CAST (shop.state AS {kind}) WITH FUNCTION shop.evil_{kind}(shop.state) AS IMPLICIT"
        sql.execute(cast.encode())
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


def test_of_a_renamed_column_only_what_needs_it_is_an_event_of_all_documents(
    watched: psycopg.Connection,
) -> None:
    watched.execute("ALTER TABLE shop.reviews RENAME COLUMN stars TO points")
    watched.execute("INSERT INTO shop.reviews (product_id) VALUES (3)")
    watched.execute("DELETE FROM shop.reviews WHERE product_id = 2")
    assert keys(watched) == ["2", "3"]
    watched.execute("UPDATE shop.reviews SET points = 1 WHERE product_id = 1")
    assert taken(watched) == [("product", "", -1)]
    watched.execute("ALTER TABLE shop.reviews RENAME COLUMN product_id TO product")
    for change in ("INSERT INTO shop.reviews (product) VALUES (3)", "DELETE FROM shop.reviews"):
        watched.execute(change.encode())
        assert taken(watched) == [("product", "", -1)]


def test_functions_have_no_more_rights_than_the_owner_of_the_outbox(
    db: Database, bare: psycopg.Connection, owner: Login
) -> None:
    watch(db, PRODUCT)
    assert owners(bare) == {owner.name}
    with psycopg.connect(owner.url, autocommit=True) as own:
        own.execute(create_sql(PRODUCT))
        own.execute("INSERT INTO shop.products (id) VALUES (7)")
        assert keys(bare) == ["7"]
        own.execute(drop_sql(PRODUCT))
    assert owners(bare) == set()


@pytest.mark.usefixtures("owner")
def test_a_function_that_somebody_else_owns_is_not_adopted(bare: psycopg.Connection) -> None:
    name = function("offers")
    with a_login(bare) as mallory:
        bare.execute(
            f"CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            f"ALTER FUNCTION {name}() OWNER TO {mallory.name}".encode()
        )
        with pytest.raises(psycopg.errors.RaiseException, match=mallory.name) as refused:
            bare.execute(create_sql(PRODUCT))
        assert "OWNER TO" in str(refused.value.diag.message_hint)
        bare.execute("ROLLBACK")
        assert bare.execute("SELECT FROM pg_trigger WHERE tgname ~ '^outbox_products_'").fetchall() == []


@pytest.mark.usefixtures("owner")
def test_who_cannot_give_the_function_to_the_owner_makes_no_trigger(bare: psycopg.Connection) -> None:
    """The application's writes would depend on the rights of that role."""
    of_shop = ("TRIGGER ON ALL TABLES IN SCHEMA shop", "USAGE ON SCHEMA shop")
    with (
        a_login(bare, *of_shop, "USAGE, CREATE ON SCHEMA public") as other,
        psycopg.connect(other.url, autocommit=True) as own,
    ):
        bare.execute(f"GRANT INSERT, UPDATE ON public.search_outbox_events TO {other.name}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(create_sql(PRODUCT))
    assert bare.execute("SELECT FROM pg_trigger WHERE tgname ~ '^outbox_products_'").fetchall() == []


def test_a_statement_that_changes_no_row_writes_nothing_whatever_became_of_the_columns(
    watched: psycopg.Connection,
) -> None:
    watched.execute("ALTER TABLE shop.products RENAME name TO title")
    watched.execute(
        "UPDATE shop.products SET title = 'x' WHERE id = 99; DELETE FROM shop.products WHERE id = 99"
    )
    watched.execute("INSERT INTO shop.products (id) SELECT 99 WHERE false")
    assert taken(watched) == []
