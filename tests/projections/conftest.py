"""The shop, who may write to it, and who owns it; the store, with a declaration file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from processes import Cli
from projections import shop_tables as shop
from projections import stock
from projections.logins import Login, a_login
from projections.shop_tables import PRODUCT, watch
from projections.store import FILE, TABLES, Store, own
from servers import an_index
from shop import SCHEMA, product, put_in_force


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


@pytest.fixture
def writer(watched: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A login that may write to the shop, and has no right on the outbox."""
    rights = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop"
    with (
        a_login(watched, "USAGE ON SCHEMA shop", rights) as login,
        psycopg.connect(login.url, autocommit=True) as own,
    ):
        yield own


@pytest.fixture
def owner(bare: psycopg.Connection) -> Iterator[Login]:
    """Owns the shop and the outbox, and is no superuser."""
    with a_login(bare) as login:
        own(bare, login.name, "shop", "public")
        yield login


@pytest.fixture
def store(sql: psycopg.Connection, db: Database, cli: Cli, index: str, tmp_path: Path) -> Store:
    """Tables, a view, and a file that declares a projection of them."""
    sql.execute(TABLES)
    file = tmp_path / "store.toml"
    file.write_text(FILE.format(index=f"{index}-products"), encoding="utf-8")
    return Store(sql, cli, f"{index}-products", file, db)


@pytest.fixture
def products(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[str]:
    """The shop without rows, and the index of its projection."""
    sql.execute(SCHEMA)
    with an_index(engine) as name:
        put_in_force(db, product(name))
        yield name


@pytest.fixture
def things(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[Callable[..., str]]:
    """Makes the tables `things` and what is beside it, and puts the projection `thing` in force.

    Returns its index; the document is that of a table or view of the shop.
    """
    with an_index(engine) as name:

        def made(tables: str, document: str = "documents", kind: str = "pg_catalog.int4") -> str:
            sql.execute(tables.encode())
            root, view = Relation("shop", "things"), Relation("shop", document)
            put_in_force(db, Projection("thing", root, (KeyColumn("id", kind),), view, name))
            return name

        yield made


@pytest.fixture
def items(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[str]:
    """Items with awkward keys, none delivered yet; the index of their projection."""
    sql.execute(stock.SCHEMA)
    with an_index(engine) as name:
        put_in_force(db, stock.projection(name))
        stock.some(sql)
        yield name
