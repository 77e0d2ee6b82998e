"""When every document is read again, and that `plan` says so with the reason, or that none is."""

from collections.abc import Callable

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections.view_texts import definition
from outboxctl.domain.projection import Relation
from projections.store import QUERY, Store

INNER = """
CREATE VIEW store.inner_names AS SELECT id, title FROM store.products;
CREATE FUNCTION store.shown(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
DROP VIEW store.documents;
CREATE VIEW store.documents AS SELECT id, store.shown(title) AS title FROM store.inner_names
"""
OTHER_INNER = (
    "CREATE OR REPLACE VIEW store.inner_names AS SELECT id, 'x' || title AS title FROM store.products"
)
OTHER_FUNCTION = """
CREATE OR REPLACE FUNCTION store.shown(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)'
"""
TAMPER = """
CREATE OR REPLACE VIEW public.outbox_document_product AS
SELECT id, ''::text AS title, 0::bigint AS reviews FROM store.products
"""
FOLLOW = """
[[projections.product.follow]]
table = "store.reviews"
key = "product_id"
columns = ["stars", "body"]
"""


def sql_of(statement: str) -> Callable[[Store], None]:
    """Somebody runs this."""

    def run(store: Store) -> None:
        store.sql.execute(statement.encode())

    return run


def nothing(_: Store) -> None:
    """Nothing is done."""


def again(store: Store) -> str:
    """What the plan says of documents; empty where it says nothing, and then in words that none is read."""
    (text,) = [step["text"] for step in store.plan()["steps"] if step["what"] == "documents"] or [""]
    printed = store("plan").stdout
    assert ("no document is read again" in printed) == (not text and "nothing to do" not in printed)
    return str(text)


def sweeps(store: Store) -> int:
    """How many events for every document were written; none is left."""
    return store.sql.execute("DELETE FROM search_outbox_events WHERE follow = -1").rowcount


@pytest.mark.parametrize(
    ("before", "change", "why"),
    [
        pytest.param(
            sql_of(INNER),
            sql_of(OTHER_INNER),
            "the view, or what it uses, has changed",
            id="a view that the view reads",
        ),
        pytest.param(
            sql_of(INNER),
            sql_of(OTHER_FUNCTION),
            "the view, or what it uses, has changed",
            id="a function that the view calls",
        ),
        pytest.param(
            lambda store: store.write(after='ignore = ["store.reviews"]\n'),
            lambda store: store.write('ignore = ["store.reviews"]\n'),
            "other tables, columns or queries are followed; other tables are ignored",
            id="ignored before",
        ),
        pytest.param(
            lambda store: store.write(after=FOLLOW),
            lambda store: store.write('columns = ["stars", "body"]', 'columns = ["stars"]'),
            "other tables, columns or queries are followed",
            id="other columns of a followed table",
        ),
        pytest.param(
            lambda store: store.write('document = "store.documents"', QUERY),
            lambda store: store.write("p.title,", "upper(p.title) AS title,"),
            "the view, or what it uses, has changed",
            id="another query",
        ),
        pytest.param(
            lambda store: store.write('document = "store.documents"', QUERY),
            sql_of(TAMPER),
            "somebody changed the view public.outbox_document_product",
            id="our view was changed",
        ),
        pytest.param(
            lambda store: store.write('document = "store.documents"', QUERY),
            sql_of("DROP VIEW outbox_document_product"),
            "somebody dropped the view public.outbox_document_product",
            id="our view was dropped",
        ),
        pytest.param(
            nothing,
            sql_of("ALTER TABLE store.reviews DISABLE TRIGGER USER"),
            "changes may not have been seen by these triggers",
            id="triggers were disabled",
        ),
        pytest.param(
            nothing,
            lambda store: store.write('index = "', 'pipeline = "embed"\nindex = "'),
            "another pipeline",
            id="another pipeline",
        ),
    ],
)
def test_whatever_may_have_changed_documents_unseen_has_all_of_them_read_again(
    store: Store, before: Callable[[Store], None], change: Callable[[Store], None], why: str
) -> None:
    before(store)
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    assert again(store) == "every document is read: no projection of this name is in force"
    store.apply()
    assert sweeps(store) == 1
    assert (store.what(), again(store)) == ([], "")
    change(store)
    assert again(store) == f"every document is read again: {why}" or why in again(store)
    store.apply()
    assert sweeps(store) == 1
    assert store.what() == []


def test_changes_without_triggers_are_read_once_there_are_some(store: Store) -> None:
    store.apply("--no-triggers")
    assert (store.facts()[1], sweeps(store)) == ([], 0), "a new index of an empty table"
    assert store.what() == [], "what is in force is kept, unless a flag says otherwise"
    store.apply("--triggers")
    assert sweeps(store) == 1, "what changed in between had no event"
    store.apply("--no-triggers")
    assert sweeps(store) == 0, "what changed before had one"


def test_what_documents_do_not_depend_on_has_none_read_again(store: Store) -> None:
    store.write(after=f'ignore = ["store.currencies"]\n{FOLLOW}{FOLLOW.replace("reviews", "offers")}')
    store.sql.execute("CREATE TABLE store.offers (product_id bigint, stars int, body text)")
    store.apply()
    sweeps(store)
    store.write(
        f"{FOLLOW}{FOLLOW.replace('reviews', 'offers')}", f"{FOLLOW.replace('reviews', 'offers')}{FOLLOW}"
    )
    assert (store.what(), again(store)) == ([], ""), "in another order"
    store.write('index = "', 'mapping = "m.json"\nindex = "')
    (store.file.parent / "m.json").write_text('{"settings": {"number_of_replicas": 0}}', encoding="utf-8")
    assert (store.what(), again(store)) == (["declaration"], "")
    store.apply()
    assert sweeps(store) == 0


def test_the_printed_sql_reads_documents_again_as_apply_does(store: Store) -> None:
    store.apply()
    sweeps(store)
    store.sql.execute("ALTER TABLE store.reviews DISABLE TRIGGER USER")
    store.sql.execute(store("sql").stdout.encode())
    assert sweeps(store) == 1
    store.sql.execute(store("sql").stdout.encode())
    assert sweeps(store) == 0


def test_a_views_hash_does_not_depend_on_the_session(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(
        "CREATE VIEW dated AS SELECT e.created_at > timestamptz '2026-01-01 00:00:00+00' AS late,"
        " interval '1 day 2 hours' AS patience, '\\x00ff'::bytea AS mark, 0.1::float8 AS part"
        " FROM search_outbox_events e"
    )

    def found(*settings: str) -> str:
        with db.begin() as connection:
            for setting in settings:
                connection.exec_driver_sql(f"SET LOCAL {setting}")
            value = definition(connection, Relation("public", "dated"))
            for setting in settings:
                name, _, wanted = setting.partition(" = ")
                assert connection.exec_driver_sql(f"SHOW {name}").scalar() == wanted.strip("'"), "as before"
            return value

    usual = found()
    for setting in (
        "TimeZone = 'Asia/Tokyo'",
        "quote_all_identifiers = on",
        "search_path = pg_catalog",
        "IntervalStyle = sql_standard",
        "bytea_output = escape",
        "extra_float_digits = -3",
    ):
        assert found(setting) == usual, setting
