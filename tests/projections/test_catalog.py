"""What the catalog says about tables and views: names, columns, what a view reads, what leads to a root."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import Database
from outboxctl.core.projections import catalog, dependencies, indexes
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.view_texts import definition
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Relation
from projections import shop_tables as shop
from servers import needs_release

EVERY: frozenset[str] = frozenset()


@pytest.fixture
def there(sql: psycopg.Connection) -> psycopg.Connection:
    sql.execute(shop.TABLES.encode())
    return sql


@pytest.fixture
def connection(db: Database, there: psycopg.Connection) -> Iterator[Connection]:
    """A transaction in a database with the shop."""
    assert not there.closed
    with db.begin() as connection:
        yield connection


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shop.products", Relation("shop", "products")),
        ("SHOP.Products", Relation("shop", "products")),
        (' "shop" . products ', Relation("shop", "products")),
        ("search_index", Relation("public", "search_index")),
        ('"Shop 2"."Pro "" ducts.%"', Relation("Shop 2", 'Pro " ducts.%')),
        ("shop.product_documents", Relation("shop", "product_documents")),
        ("shop.none", None),
        ("shop.reviews_id_seq", None),
        ('shop."Products"', None),
        (f"shop.{'p' * 70}", None),
    ],
)
def test_a_name_is_read_as_sql_reads_it(
    db: Database, there: psycopg.Connection, name: str, found: Relation | None
) -> None:
    there.execute('CREATE SCHEMA "Shop 2"; CREATE TABLE "Shop 2"."Pro "" ducts.%" (id int)')
    there.execute(f"CREATE TABLE shop.{'p' * 63} (id int)".encode())
    with db.begin() as connection:
        assert catalog.resolve(connection, name) == found


def test_what_is_no_name_is_refused(connection: Connection) -> None:
    for name in ("", "a.b.c", "1a", 'a"b', '""', "a b", "a;b", "shop.", ".products", '"a'):
        with pytest.raises(ValueError, match="not the name"):
            catalog.resolve(connection, name)


def test_columns_are_read_without_a_right_on_the_schema(connection: Connection) -> None:
    """`doctor` runs as the worker's role, which may read the view's schema alone."""
    known = fields(connection, shop.shop("products")), definition(connection, shop.shop("products"))
    connection.exec_driver_sql("SET LOCAL ROLE pg_monitor")
    assert known[0]
    assert known == (
        fields(connection, shop.shop("products")),
        definition(connection, shop.shop("products")),
    )


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("SELECT product_id AS id, to_jsonb(r) FROM shop.reviews r", {"reviews": EVERY}),
        ("SELECT product_id AS id, count(*) FROM shop.reviews GROUP BY 1", {"reviews": {"product_id"}}),
        ("SELECT count(r) FROM shop.reviews r", {"reviews": EVERY}),
        (
            "SELECT r.id, to_jsonb(s) FROM shop.reviews r, LATERAL (SELECT r.stars) s",
            {"reviews": {"id", "stars"}},
        ),
        ("SELECT r.* FROM shop.categories r", {"categories": {"id", "name", "unused"}}),
        (
            "SELECT p.id, (SELECT json_agg(r) FROM shop.reviews r WHERE r.product_id = p.id)"
            " FROM shop.products p",
            {"products": {"id"}, "reviews": EVERY},
        ),
        (
            "SELECT id, to_jsonb(j) FROM (shop.offers JOIN shop.reviews USING (product_id)) j",
            {"offers": EVERY, "reviews": EVERY},
        ),
        (
            "SELECT d.id, d.categories FROM shop.product_documents d JOIN shop.deep ON true",
            {
                "products": {"id", "name", "note", "place"},
                "reviews": {"id", "product_id", "stars", "body"},
                "offers": {
                    "product_id",
                    "price",
                },
                "categories": EVERY,
                "product_categories": {"product_id", "category_id"},
            },
        ),
        ("SELECT name FROM shop.far", {"far": {"name"}}),
        ("SELECT id FROM shop.parent", {"parent": {"id"}, "child": {"id"}}),
    ],
)
def test_rows_as_a_whole_views_of_views_and_heirs_are_seen(
    db: Database, there: psycopg.Connection, select: str, expected: dict[str, frozenset[str]]
) -> None:
    there.execute("CREATE VIEW shop.deep AS SELECT c.name, to_jsonb(c) FROM shop.categories c")
    there.execute("CREATE MATERIALIZED VIEW shop.far AS SELECT name FROM shop.categories")
    there.execute("CREATE TABLE shop.parent (id int); CREATE TABLE shop.child (x int) INHERITS (shop.parent)")
    there.execute(f"CREATE VIEW shop.tried AS {select}".encode())
    with db.begin() as connection:
        found = dependencies.used(connection, shop.shop("tried"))
    assert {table.name: names for table, names in found.items()} == expected


def test_a_table_as_the_document_counts_as_a_whole(connection: Connection) -> None:
    assert dependencies.used(connection, shop.shop("offers")) == {shop.shop("offers"): EVERY}


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("now()", ["now()"]),
        ("CURRENT_TIMESTAMP", ["CURRENT_TIMESTAMP"]),
        ("shop.odd(r.id)", ["shop.odd()"]),
        ("r.id OPERATOR(shop.+!) 1", ["shop.odd2()"]),
        ("current_user", ["CURRENT_USER"]),
        ("json_build_object('a', to_json(r.seen), 'b', to_char(r.seen, 'YYYY'), 'c', lower(r.body))", []),
        ("shop.even(r.id)", []),
    ],
)
def test_functions_that_change_without_an_event_are_named(
    db: Database, there: psycopg.Connection, expression: str, named: list[str]
) -> None:
    for name, kind in (("odd", "STABLE"), ("even", "IMMUTABLE")):
        there.execute(
            f"CREATE FUNCTION shop.{name}(bigint) RETURNS bigint {kind} LANGUAGE sql AS 'SELECT $1'".encode()
        )
    there.execute("CREATE FUNCTION shop.odd2(bigint, int) RETURNS bigint LANGUAGE sql AS 'SELECT $1'")
    there.execute("CREATE OPERATOR shop.+! (FUNCTION = shop.odd2, LEFTARG = bigint, RIGHTARG = int)")
    there.execute(
        f"CREATE VIEW shop.inner_view AS SELECT r.id, {expression} AS x FROM shop.reviews r".encode()
    )
    there.execute("CREATE VIEW shop.tried AS SELECT * FROM shop.inner_view")
    with db.begin() as connection:
        assert dependencies.volatile(connection, shop.shop("tried")) == named


def test_row_level_security_of_whoever_reads_is_named(db: Database, there: psycopg.Connection) -> None:
    owner = f"t{uuid.uuid4().hex[:8]}"
    there.execute(SQL("CREATE ROLE {}").format(Identifier(owner)))
    there.execute("ALTER TABLE shop.reviews ENABLE ROW LEVEL SECURITY")
    try:
        with db.begin() as connection:
            assert dependencies.row_security(connection, shop.shop("product_documents")) == []
            assert dependencies.row_security(connection, shop.shop("reviews")) == []
        there.execute(SQL("ALTER VIEW shop.product_documents OWNER TO {}").format(Identifier(owner)))
        with db.begin() as connection:
            found = dependencies.row_security(connection, shop.shop("product_documents"))
            assert found == [shop.shop("reviews")]
        needs_release(there, 15, "views with security_invoker")
        there.execute("ALTER VIEW shop.product_documents SET (security_invoker = true)")
        with db.begin() as connection:
            assert dependencies.row_security(connection, shop.shop("product_documents")) == []
    finally:
        there.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(owner)))


INDEXES = """
CREATE TABLE shop.lines (a int NOT NULL, b int NOT NULL, c int, d int, e int);
CREATE UNIQUE INDEX ON shop.lines (b, a);
CREATE UNIQUE INDEX ON shop.lines (c) WHERE c > 0;
CREATE UNIQUE INDEX ON shop.lines (a) INCLUDE (d);
CREATE INDEX ON shop.lines (d, c, a);
CREATE INDEX ON shop.lines (abs(e), e);
CREATE INDEX ON shop.lines USING brin (e);
"""


def test_indexes_are_those_that_find_the_rows(db: Database, there: psycopg.Connection) -> None:
    there.execute(INDEXES.encode())
    lines = shop.shop("lines")
    with db.begin() as connection:
        unique = [
            names
            for names in ("a", "ab", "ba", "b", "c", "abc", "ad")
            if indexes.is_unique(connection, lines, names)
        ]
        found = [name for name in "abcde" if indexes.finds(connection, lines, [name])]
    assert unique == ["a", "ab", "ba"]
    assert found == ["a", "b", "d"]
