"""Tables that inherit from one of a document's tables, made before `apply` or after it."""

import json

import pytest

from projections.store import Store

INHERITED = "CREATE TABLE store.products_of_before (PRIMARY KEY (id)) INHERITS (store.products)"
CHILD = "CREATE TABLE store.reviews_of_before () INHERITS (store.reviews)"


@pytest.mark.parametrize("statement", [INHERITED, CHILD])
def test_a_table_that_inherits_later_is_found_and_then_watched(store: Store, statement: str) -> None:
    store.apply()
    store.sql.execute(statement.encode())
    table = statement.split()[2]
    found = json.loads(store.cli("doctor", "--json").stdout)["findings"]
    assert [each for each in found if table in each["what"] and "apply" in each["mend"]], found
    assert {"triggers", "documents"} <= set(store.what())
    warnings = [each for each in store.plan()["warnings"] if "inherits" in each["text"]]
    assert [table.removesuffix("_of_before") in each["text"] for each in warnings] == [True]
    store.apply()
    assert store.what() == []
    store.sql.execute("DELETE FROM search_outbox_events")
    values = "(id, tenant) VALUES (7, 'a')" if "products" in table else "(id, product_id) VALUES (1, 7)"
    store.sql.execute(f"INSERT INTO {table} {values}".encode())
    assert store.events() == [("product", "7", None)]
