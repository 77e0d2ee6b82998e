"""Commands for one projection beside another one that uses its tables."""

import psycopg
import pytest

from processes import Cli
from projections.store import TRIGGERS, WHO, Store

# Both follow reviews; the second one uses another column of them.
VIEW = """
CREATE VIEW store.starred AS SELECT p.id, p.unused,
    (SELECT json_agg(r.stars ORDER BY r.id) FROM store.reviews r WHERE r.product_id = p.id) AS stars
FROM store.products p
"""
OTHER = """
[projections.starred]
root = "store.products"
key = "id"
document = "store.starred"
index = "{index}"
"""


@pytest.fixture
def other(store: Store) -> Store:
    """A file that declares `starred`, beside `product`, which is in force."""
    store.apply()
    store.sql.execute(VIEW)
    file = store.file.with_name("starred.toml")
    file.write_text(OTHER.format(index=f"{store.index}-starred"), encoding="utf-8")
    return Store(store.sql, store.cli, f"{store.index}-starred", file, store.db)


def kinds(sql: psycopg.Connection, change: str) -> list[str]:
    """The projections that have events of a change."""
    sql.execute("DELETE FROM search_outbox_events")
    sql.execute(change.encode())
    return sorted(kind for (kind,) in sql.execute("SELECT entity_type FROM search_outbox_events"))


def test_apply_and_drop_of_one_leave_the_other_one_as_it_is(store: Store, other: Store, cli: Cli) -> None:
    before = other.sql.execute(TRIGGERS).fetchall()
    other.apply()
    assert other.sql.execute(TRIGGERS).fetchall() == before, "a table has one set of triggers"
    assert (store.what(), other.what()) == ([], [])
    other.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    assert kinds(other.sql, "UPDATE store.products SET unused = 'x'") == ["starred"]
    assert kinds(other.sql, "UPDATE store.products SET title = 'x'") == ["product"]
    assert kinds(other.sql, "INSERT INTO store.reviews VALUES (1, 1, 5, 'x')") == ["product", "starred"]
    cli.ok("projection", "drop", "product", *WHO, "--yes")
    assert other.what() == []
    assert kinds(other.sql, "UPDATE store.reviews SET stars = 1, body = 'y'") == ["starred"]
    assert kinds(other.sql, "UPDATE store.products SET title = 'y'") == []
    cli.ok("projection", "drop", "starred", *WHO, "--yes")
    assert other.sql.execute(TRIGGERS).fetchall() == []


def test_one_without_triggers_leaves_those_of_the_other_one(other: Store) -> None:
    other.apply()
    other.apply("--no-triggers")
    assert other.what() == []
    other.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    assert kinds(other.sql, "UPDATE store.products SET title = 'x', unused = 'x'") == ["product"]


def test_a_printed_script_is_refused_where_others_use_its_tables_otherwise(
    store: Store, other: Store
) -> None:
    printed = other("sql").stdout
    with store.sql.transaction(force_rollback=True):
        store.sql.execute(printed.encode())
        assert store.what() == []
    store.sql.execute("ALTER VIEW store.documents RENAME COLUMN title TO name")
    store.apply()
    store.sql.execute(printed.encode())  # nothing of the tables is used otherwise
    store.apply("--no-triggers")
    with pytest.raises(psycopg.errors.RaiseException, match="other projections"):
        store.sql.execute(printed.encode())
    store.sql.execute("ROLLBACK")
    store.sql.execute(other("sql").stdout.encode())
    assert other.what() == ["index"]
