"""`plan` says how many documents are behind a row of each followed table."""

import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import change_costs
from outboxctl.domain.projection import Follow, Relation
from outboxctl.operations.projection.costs import count_documents_behind
from outboxctl.operations.projection.declaration import read
from outboxctl.operations.projection.plan import plan
from projections.store import Store

pytestmark = pytest.mark.slow(reason="fills tables, to count what is behind a row")

MANY = """
INSERT INTO store.categories SELECT n, 'c' || n FROM generate_series(1, 11) n;
INSERT INTO store.products (id, tenant, "Odd ""%Name", category_id)
    SELECT n, 'a', n, CASE WHEN n <= 80 THEN 1 ELSE 2 + n % 9 END FROM generate_series(1, 98) n
"""


def test_the_documents_behind_a_row_are_counted(store: Store) -> None:
    store.sql.execute(MANY)
    planned = store.plan()
    categories, reviews = planned["follow"]
    figures = [categories[name] for name in ("median_documents", "most_documents", "sampled_rows")]
    assert (categories["table"], figures) == ("store.categories", [2, 80, 11])
    assert (reviews["median_documents"], reviews["most_documents"]) == (1, 1)
    terminal = " ".join(store("plan").stdout.split())
    assert "store.categories 2 80" in terminal


def test_a_value_that_the_sample_misses_counts_by_the_statistics(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_costs, "SIZES", (1,))
    store.sql.execute(MANY)
    store.sql.execute("ANALYZE store.products")
    with db.begin() as connection:
        planned = plan(connection, None, read(store.file), built_in="none")
        count_documents_behind(connection, planned)
    assert [each and each.most for each in planned[0].behind] == [80, 1]


def test_a_change_that_reaches_every_document_is_said_to(store: Store) -> None:
    store.sql.execute(MANY)
    store.sql.execute("ANALYZE store.products")
    store.write(after='[[projections.product.follow]]\ntable = "store.categories"\nall = true\n')
    every = next(each for each in store.plan()["follow"] if each["all"])
    assert (every["median_documents"], every["most_documents"]) == (98, 98)


SLOW = """
CREATE FUNCTION store.slowly(n bigint) RETURNS bigint LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(n * 30); RETURN n; END'
"""


def test_a_query_that_takes_too_long_is_given_up(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_costs, "SECONDS", 0.05)
    store.sql.execute(SLOW)
    store.sql.execute("INSERT INTO store.categories VALUES (1, 'a')")
    table = Relation("store", "categories")
    slow = Follow(table, keys="SELECT store.slowly(:id)", parameters=("id",))
    with db.begin() as connection:
        assert change_costs.behind(connection, table, slow) is None
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1, "the transaction goes on"
