"""What is written while `apply` changes what is watched is not lost: it waits for whoever has written."""

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.store import WHO, Store
from shop import held

LOCKED = 3


def view(columns: str, condition: str = "true") -> str:
    """The view of documents, with these columns of a product beside its id and title."""
    return (
        f"DROP VIEW store.documents; CREATE VIEW store.documents AS SELECT id, title{columns}"
        f" FROM store.products WHERE {condition}"
    )


@pytest.fixture
def writer(url: str) -> psycopg.Connection:
    """A session whose transaction stays open."""
    return psycopg.connect(url, application_name="nightly import")


@pytest.mark.parametrize("printed", [False, True], ids=["apply", "sql"])
def test_a_change_that_is_open_while_a_column_becomes_watched_is_not_lost(
    store: Store, cli: Cli, engine: Elasticsearch, writer: psycopg.Connection, printed: bool
) -> None:
    store.sql.execute(view("").encode())
    store.sql.execute("INSERT INTO store.products (id, tenant, unused) VALUES (1, 'a', 'old')")
    store.apply()
    cli.ok("worker", "--drain")
    with writer:
        writer.execute("UPDATE store.products SET unused = 'new'")
        store.sql.execute(view(", unused").encode())
        if printed:
            script = f"BEGIN; SET LOCAL lock_timeout = '300ms'; {store('sql').stdout}"
            with pytest.raises(psycopg.errors.LockNotAvailable):
                store.sql.execute(script.encode())
            store.sql.execute("ROLLBACK")
        else:
            done = store("apply", *WHO, "--wait", "1")
            assert done.returncode == LOCKED, done.stderr
            assert "(nightly import)" in done.stderr
            assert "holds store.products" in done.stderr
        writer.commit()
    store.apply()
    cli.ok("worker", "--drain")
    assert held(engine, store.index)["1"]["unused"] == "new"


def test_where_nothing_changes_of_what_is_watched_nobody_is_waited_for(
    store: Store, writer: psycopg.Connection
) -> None:
    store.sql.execute(view("").encode())
    store.apply()
    with writer:
        writer.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'x')")
        store.sql.execute(view("", "title <> 'y'").encode())
        store.apply("--wait", "1")
