"""`all = true`: any change of a table has every document read again, once for all changes that wait."""

import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.store import Store
from shop import held

NOT_DONE = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
FOLLOW = """
[[projections.product.follow]]
table = "store.currencies"
all = true
"""
VIEW = """
CREATE OR REPLACE VIEW store.documents AS
SELECT p.id, p.price * (SELECT max(c.rate) FROM store.currencies c) AS price FROM store.products p
"""


@pytest.fixture
def priced(store: Store) -> Store:
    """Three products whose price depends on one table as a whole."""
    store.sql.execute("DROP VIEW store.documents")
    store.sql.execute(VIEW.encode())
    rows = 'INSERT INTO store.products (id, tenant, price, maybe, "Odd ""%Name") SELECT n, \'a\', n, n, n'
    store.sql.execute(f"{rows} FROM generate_series(1, 3) n".encode())
    store.sql.execute("INSERT INTO store.currencies VALUES ('EUR', 1), ('USD', 0.5)")
    store.write(after=FOLLOW)
    return store


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ("INSERT INTO store.currencies VALUES ('GBP', 4), ('CHF', 3)", 4),
        ("UPDATE store.currencies SET rate = 2", 2),
        ("DELETE FROM store.currencies WHERE code = 'EUR'", 0.5),
        ("TRUNCATE store.currencies", None),
    ],
)
def test_any_change_of_the_table_reaches_every_document(
    priced: Store, cli: Cli, engine: Elasticsearch, change: str, factor: float | None
) -> None:
    priced.apply()
    cli.ok("worker", "--drain")
    priced.sql.execute("TRUNCATE search_outbox_events")
    priced.sql.execute(change.encode())
    assert priced.events() == [("product", "", -1)], "one event a statement"
    priced.sql.execute("UPDATE store.currencies SET rate = rate WHERE code = 'EUR'")
    assert len(priced.events()) == 1, "no change, no event"
    cli.ok("worker", "--drain")
    assert priced.sql.execute(NOT_DONE).fetchone() == (0,)
    prices = {id_: document["price"] for id_, document in held(engine, priced.index).items()}
    assert prices == {str(n): n * factor if factor else None for n in (1, 2, 3)}
