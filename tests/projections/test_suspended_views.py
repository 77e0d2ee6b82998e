"""The application's migrations: views put aside and made again, and what does not fit any more."""

from contextlib import ExitStack

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg import errors
from psycopg.conninfo import make_conninfo

from processes import eventually
from projections.logins import a_login
from projections.store import Store, own
from shop import documents, held

OUR_VIEW = 'query = """SELECT p.id, p.title, p.price, p.sold FROM store.products p"""'
OF_ALL = "SELECT count(*) FROM search_outbox_events WHERE follow = -1 AND status = 'pending'"
OURS = (
    "SELECT relowner::regrole = current_user::regrole FROM pg_class WHERE relname = 'outbox_document_product'"
)
SHARED = """
[projections.{name}]
root = "store.orders"
key = ["id", "day"]
document = "store.{name}"
index = "{index}-{name}"
"""
FACTS = """
SELECT pg_get_viewdef(c.oid), c.relowner::regrole::text, c.relacl::text, c.reloptions::text,
    obj_description(c.oid), col_description(c.oid, 3), (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
        WHERE adrelid = c.oid), (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attnum = 2)
FROM pg_class c WHERE c.oid = 'store.documents'::regclass
"""


def login(store: Store) -> str:
    """How this test's superuser connects."""
    return make_conninfo(store.sql.info.dsn, password=store.sql.info.password)


def migrate(store: Store, *statements: str, url: str = "", table: str = "store.products") -> list[str]:
    """Run them in one transaction, between `suspend` and `resume`: what `resume` says."""
    with psycopg.connect(url or login(store)) as sql:
        sql.execute("SELECT outbox_projections_suspend(%s)", [table])
        for each in statements:
            sql.execute(each.encode())
        return [said for (said,) in sql.execute("SELECT outbox_projections_resume()")]


def ready(store: Store, *, own_view: bool = False) -> None:
    """One product, sent."""
    store.sql.execute("INSERT INTO store.products (id, tenant, title, price) VALUES (1, 'a', 'Pan', 5)")
    if own_view:
        store.sql.execute("DROP VIEW store.documents")
        store.write('document = "store.documents"', OUR_VIEW)
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0


@pytest.mark.parametrize("kind", ["numeric(12, 3)", "numeric(10, 2)"])  # the latter as it was
def test_without_it_postgresql_refuses_and_with_it_every_document_is_read_again(
    store: Store, engine: Elasticsearch, kind: str
) -> None:
    ready(store)
    retype = f"ALTER TABLE store.products ALTER price TYPE {kind} USING price * 2"
    with pytest.raises(errors.FeatureNotSupported):
        store.sql.execute(retype.encode())
    said = migrate(store, retype)
    assert "every document is read again" in said[0]
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == documents(store.sql, "store.documents")
    assert held(engine, store.index)["1"]["price"] == 10


def test_a_view_is_as_it_was_with_owner_grants_comments_options_and_defaults(store: Store) -> None:
    with ExitStack() as stack:
        reader, owner = (stack.enter_context(a_login(store.sql)) for _ in range(2))
        own(store.sql, owner.name, "store")
        store.sql.execute(
            f"""
            ALTER VIEW store.documents SET (security_barrier = true);
            COMMENT ON VIEW store.documents IS 'for "search"''s sake';
            COMMENT ON COLUMN store.documents.title IS 'a name';
            ALTER VIEW store.documents ALTER title SET DEFAULT 'none';
            GRANT SELECT ON store.documents TO {reader.name} WITH GRANT OPTION;
            GRANT UPDATE (tenant) ON store.documents TO PUBLIC;
            REVOKE DELETE ON store.documents FROM {owner.name};
            ALTER DEFAULT PRIVILEGES IN SCHEMA store GRANT SELECT ON TABLES TO PUBLIC""".encode()
        )
        before = store.sql.execute(FACTS).fetchone()
        ready(store)
        migrate(store, "ALTER TABLE store.products ALTER sold TYPE text")
        assert store.sql.execute(FACTS).fetchone() == before


def test_the_tables_owner_needs_no_right_on_the_outbox_and_gets_none(store: Store) -> None:
    with a_login(store.sql) as owner, a_login(store.sql, "USAGE ON SCHEMA store") as other:
        ready(store, own_view=True)
        own(store.sql, owner.name, "store")
        migrate(store, "ALTER TABLE store.products ALTER price TYPE numeric(12, 3)", url=owner.url)
        assert store.sql.execute(OURS.encode()).fetchone() == (True,)
        with (
            psycopg.connect(other.url) as sql,
            pytest.raises(errors.InsufficientPrivilege, match="must be owner"),
        ):
            sql.execute("SELECT outbox_projections_suspend('store.products')")


def test_a_stranger_of_the_view_cannot_drop_it(store: Store) -> None:
    with a_login(store.sql) as owner, a_login(store.sql, "USAGE, CREATE ON SCHEMA store") as team:
        ready(store)
        store.sql.execute(f"ALTER TABLE store.products OWNER TO {owner.name}".encode())
        store.sql.execute(f"GRANT USAGE ON SCHEMA store TO {owner.name}".encode())
        store.sql.execute(f"ALTER VIEW store.documents OWNER TO {team.name}".encode())
        with pytest.raises(errors.InsufficientPrivilege, match="owner of view documents"):
            migrate(store, url=owner.url)


@pytest.mark.parametrize(
    "end", ["COMMIT", "PREPARE TRANSACTION 'forgotten'", "SET CONSTRAINTS ALL IMMEDIATE"]
)
def test_a_forgotten_resume_ends_no_transaction(store: Store, end: str) -> None:
    ready(store)
    store.sql.execute("BEGIN; SELECT outbox_projections_suspend('store.products'); SAVEPOINT a")
    store.sql.execute("SELECT outbox_projections_resume()")
    store.sql.execute("ROLLBACK TO a")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="views of the projection product"):
        store.sql.execute(end.encode())
    store.sql.execute("ROLLBACK")
    assert store.what() == []


def test_checks_at_once_are_named_and_can_be_put_off(store: Store) -> None:
    ready(store)
    suspend = "SELECT outbox_projections_suspend('store.products')"
    store.sql.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as raised:
        store.sql.execute(suspend)
    assert "SET CONSTRAINTS ALL DEFERRED before" in (raised.value.diag.message_hint or "")
    store.sql.execute("ROLLBACK; BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    store.sql.execute(f"{suspend}; SELECT outbox_projections_resume(); COMMIT")
    assert store.what() == []


def test_what_is_rolled_back_to_a_savepoint_is_not_suspended(store: Store) -> None:
    ready(store)
    store.sql.execute(
        "BEGIN; SAVEPOINT a; SELECT outbox_projections_suspend('store.products'); ROLLBACK TO a; COMMIT"
    )
    assert store.what() == []


@pytest.mark.parametrize("own_view", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DROP COLUMN price", "column price of store.products was dropped"),
        ("RENAME price TO cost", "column price of store.products was renamed to cost"),
    ],
)
def test_a_used_column_that_goes_fails_the_migration(
    store: Store, own_view: bool, change: str, words: str
) -> None:
    ready(store, own_view=own_view)
    with pytest.raises(errors.UndefinedColumn, match=f"of the projection product cannot .*{words}"):
        migrate(store, f"ALTER TABLE store.products {change}")
    assert store.what() == []


def test_an_unused_column_goes_and_nothing_is_read_again(store: Store) -> None:
    ready(store)
    said = migrate(store, "ALTER TABLE store.products DROP COLUMN unused")
    assert said == []
    assert store.sql.execute(OF_ALL).fetchone() == (0,)


def test_a_rename_before_is_followed_by_the_view_and_said_where_the_declaration_names_it(
    store: Store, engine: Elasticsearch
) -> None:
    ready(store)
    with psycopg.connect(login(store)) as sql:
        sql.execute("ALTER TABLE store.products RENAME price TO cost")
        sql.execute("SELECT outbox_projections_suspend('store.products')")
        said = sql.execute("SELECT outbox_projections_resume()").fetchall()
    assert "store.products has no column price any more" in str(said)
    store.sql.execute("UPDATE store.products SET cost = 7")
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index)["1"]["price"] == 7


def test_a_table_that_is_gone_and_one_that_nothing_reads_are_said(store: Store) -> None:
    ready(store)
    said = migrate(
        store,
        "DROP TABLE store.categories CASCADE",
        "CREATE VIEW store.documents AS SELECT id, title FROM store.products",
        table="store.categories",
    )
    assert "product: store.categories is gone: run outboxctl projection apply FILE" in said
    assert "no column" not in str(said)
    store.sql.add_notice_handler(lambda each: said.append(str(each.message_primary)))
    store.sql.execute("SELECT outbox_projections_suspend('store.currencies')")
    assert said[-1] == "no projection in force reads store.currencies"


def test_by_hand_events_of_keys_of_the_new_type_wait_for_apply(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute("CREATE TABLE store.items (id int PRIMARY KEY, name text)")
    store.sql.execute("CREATE VIEW store.item_documents AS SELECT * FROM store.items")
    store.write("store.products", "store.items")
    store.write("store.documents", "store.item_documents")
    store.write(after="""mapping = '{"mappings": {"properties": {"id": {"type": "long"}}}}'""")
    store.apply()
    store.sql.execute("DROP VIEW store.item_documents; ALTER TABLE store.items ALTER id TYPE bigint")
    store.sql.execute("CREATE VIEW store.item_documents AS SELECT * FROM store.items")
    store.sql.execute("INSERT INTO store.items VALUES (1, 'a'), (3000000000, 'b')")
    store.cli("worker", "--drain", timeout=60)
    assert store.sql.execute(
        "SELECT count(*) FROM search_outbox_events WHERE status = 'failed'"
    ).fetchone() == (0,)
    assert "rebuild" not in store.what()
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == documents(store.sql, "store.item_documents")


@pytest.mark.parametrize(("kind", "now"), [("int", "text"), ("store.color", "text"), ("text", "store.color")])
def test_a_key_of_another_type_waits_for_apply_and_no_event_fails(
    store: Store, engine: Elasticsearch, kind: str, now: str
) -> None:
    value = "1" if kind == "int" else "red"
    store.sql.execute(f"CREATE TABLE store.items (n {kind} PRIMARY KEY, name text)".encode())
    store.sql.execute(f"CREATE VIEW store.listed AS SELECT n::{kind}, name FROM store.items".encode())
    store.sql.execute(f"INSERT INTO store.items VALUES ('{value}', 'a')".encode())
    store.write('key = "id"', 'key = "n"')
    store.write("store.products", "store.items")
    store.write("store.documents", "store.listed")
    store.write(after="""mapping = '{"mappings": {"properties": {"n": {"type": "keyword"}}}}'""")
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    retype = f"ALTER TABLE store.items ALTER n TYPE {now} USING n::text::{now}"
    view = f"CREATE VIEW store.listed AS SELECT n::{now}, name FROM store.items"
    said = migrate(store, retype, view, table="store.items")
    assert "and nothing is read until you run outboxctl projection apply FILE" in str(said)
    assert store.sql.execute(OF_ALL).fetchone() == (0,)
    store.sql.execute("UPDATE store.items SET name = 'b'")
    store.cli("worker", "--drain", timeout=60)
    waits = "SELECT status, error_reason FROM search_outbox_events WHERE status <> 'done'"
    assert store.sql.execute(waits).fetchall() == [("pending", "config")]
    store.apply()
    eventually(lambda: store.cli("worker", "--drain") and not store.sql.execute(waits).fetchall())
    assert held(engine, store.index) == documents(store.sql, "store.listed", "n")


def test_a_key_that_the_view_renames_is_known_by_its_name(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute("CREATE TABLE store.items (number int PRIMARY KEY, sku text NOT NULL UNIQUE)")
    store.sql.execute("CREATE VIEW store.listed AS SELECT number AS id, sku FROM store.items")
    store.write("store.products", "store.listed")
    store.write("store.documents", "store.listed")
    store.write(after="""mapping = '{"mappings": {"properties": {"id": {"type": "long"}}}}'""")
    store.apply()
    said = str(migrate(store, "ALTER TABLE store.items ALTER number TYPE bigint", table="store.items"))
    assert "the new types of its key" in said
    assert "has no column" not in said
    store.sql.execute("INSERT INTO store.items VALUES (3000000000, 'b')")
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == {"3000000000": {"id": 3000000000, "sku": "b"}}
    assert "rebuild" not in store.what()


def test_views_that_projections_share_over_partitions_in_several_calls(store: Store) -> None:
    store.sql.execute("""
        CREATE TABLE store.orders (id int, day date, note varchar(9), PRIMARY KEY (id, day))
            PARTITION BY RANGE (day);
        CREATE TABLE store.orders_1 PARTITION OF store.orders DEFAULT;
        CREATE VIEW store.one AS SELECT * FROM store.orders_1;
        CREATE VIEW store."Ba""s e" AS SELECT o.id, o.day, o.note, c.name FROM store.orders o
            LEFT JOIN store.categories c ON c.id = o.id;
        CREATE VIEW store.first AS SELECT * FROM store."Ba""s e";
        CREATE VIEW store.second AS SELECT b.* FROM store."Ba""s e" b WHERE b.note <> '';
        CREATE VIEW store.elsewhere AS SELECT name FROM store.categories""")
    for name in ("first", "second"):
        store.write(after=SHARED.format(name=name, index=store.index))
    store.apply()
    before = store.facts()
    texts = "SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' ORDER BY 1"
    views = store.sql.execute(texts).fetchall()
    store.sql.execute("BEGIN; DROP VIEW store.one, store.elsewhere")
    calls = ["store.orders", "store.categories", "store.orders"]
    dropped = [
        {name for (name,) in store.sql.execute("SELECT outbox_projections_suspend(%s)", [each])}
        for each in calls
    ]
    assert dropped == [{"store.first", "store.second", 'store."Ba""s e"'}, {"store.documents"}, set()]
    store.sql.execute("ALTER TABLE store.orders ALTER note TYPE varchar(20)")
    store.sql.execute("ALTER TABLE store.categories ALTER name TYPE text")
    said = {text for (text,) in store.sql.execute("SELECT outbox_projections_resume()")}
    store.sql.execute("COMMIT")
    assert {each.partition(":")[0] for each in said} == {"first", "second"}
    assert store.facts()[0] == before[0]
    made = [each for each in views if each[0] not in ("store.one", "store.elsewhere")]
    assert store.sql.execute(texts).fetchall() == made
