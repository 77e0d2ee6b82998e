"""A view that takes a row as a whole: a column that comes, goes or is renamed changes every document."""

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.store import Store
from shop import held

VIEW = """
DROP VIEW store.documents;
CREATE VIEW store.documents AS SELECT p.id, to_jsonb(p) - 'made' - 'moment' AS whole FROM store.products p;
INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'x')
"""
CHANGES = [
    "ALTER TABLE store.products ADD grade int NOT NULL DEFAULT 5",
    "ALTER TABLE store.products RENAME title TO headline;"
    " ALTER TABLE store.products ADD title text DEFAULT 'new'",
]


def selected(sql: psycopg.Connection) -> dict[str, dict[str, object]]:
    """What the view has."""
    rows = sql.execute("SELECT id::text, to_jsonb(d) FROM store.documents d").fetchall()
    return dict(rows)


@pytest.mark.parametrize("more", [(), ("--no-triggers",)], ids=["triggers", "application"])
@pytest.mark.parametrize("change", CHANGES, ids=["added", "renamed"])
def test_a_change_of_the_columns_is_planned_said_and_sent(
    store: Store, cli: Cli, engine: Elasticsearch, change: str, more: tuple[str, ...]
) -> None:
    store.sql.execute(VIEW)
    store.apply(*more)
    cli.ok("worker", "--drain")
    store.sql.execute(change.encode())
    assert "documents" in store.what()
    assert "projection apply" in cli("doctor", "--only", "database").stdout
    store.apply()
    assert store.what() == []
    cli.ok("worker", "--drain")
    assert held(engine, store.index) == selected(store.sql)
