"""The user's `keys` queries run as they were written and checked: each word, each type."""

import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.store import Store
from shop import held

SETTLED = "SELECT DISTINCT status FROM search_outbox_events"
FOLLOW = """
[[projections.product.follow]]
table = "store.shelves"
keys = '''{keys}'''
"""
TABLE = "CREATE TABLE store.shelves (id int PRIMARY KEY, products bigint[], label text)"
VIEW = """
CREATE OR REPLACE VIEW store.documents AS
SELECT p.id,
    (SELECT json_agg(s.label ORDER BY s.id) FROM store.shelves s WHERE p.id = ANY (s.products)) AS shelves
FROM store.products p
"""


@pytest.mark.parametrize(
    "keys",
    [
        "SELECT p.id FROM store.products p WHERE :products IS NOT NULL AND p.id = ANY (:products)",
        "SELECT unnest(:products)",
        "SELECT id FROM store.products WHERE (:label IS NULL OR length(:label) > 0) AND id = ANY (:products)",
        # A literal that names one of our tables, and an alias.
        "SELECT search_index.id FROM store.products search_index WHERE id = ANY (:products)"
        " AND 'a search_index b' = concat('a search', '_index b')",
    ],
)
def test_a_keys_query_runs_as_it_was_checked(
    store: Store, cli: Cli, engine: Elasticsearch, keys: str
) -> None:
    store.sql.execute(TABLE)
    store.sql.execute("DROP VIEW store.documents")
    store.sql.execute(VIEW.encode())
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    store.sql.execute("INSERT INTO store.shelves VALUES (1, '{1}', 'low')")
    store.write(after=FOLLOW.format(keys=keys))
    store.apply()
    cli.ok("worker", "--drain")
    assert held(engine, store.index) == {"1": {"id": 1, "shelves": ["low"]}}
    store.sql.execute("UPDATE store.shelves SET label = 'high'")
    cli.ok("worker", "--drain")
    assert store.sql.execute(SETTLED).fetchall() == [("done",)]
    assert held(engine, store.index) == {"1": {"id": 1, "shelves": ["high"]}}
