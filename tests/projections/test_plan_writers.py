"""`plan` measures what the triggers cost a writer on copies of the tables, and leaves nothing of it."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force, writer_costs
from outboxctl.core.projections.scratch import one_statement
from outboxctl.core.sql import Connection
from processes import Cli
from projections.logins import a_login
from projections.store import Store
from schemas import rental

pytestmark = pytest.mark.slow(reason="measures what writes cost")

ROWS = """
INSERT INTO store.categories SELECT n, 'c' || n FROM generate_series(1, 50) n;
INSERT INTO store.products (id, tenant, title, "Odd ""%Name", category_id)
    SELECT n, 'a', 't' || n, n, 1 + n % 50 FROM generate_series(1, 300) n;
INSERT INTO store.reviews SELECT n, n, 5, 'b' FROM generate_series(1, 300) n
"""
# What would be seen outside of a transaction that is rolled back, and what an application would not forgive.
ALARM = """
CREATE SEQUENCE store.asked;
ALTER TABLE store.products ALTER maybe SET DEFAULT nextval('store.asked');
CREATE FUNCTION store.alarm() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM nextval(''store.asked''); RETURN NEW; END';
CREATE TRIGGER alarm BEFORE INSERT OR UPDATE OR DELETE ON store.products
    FOR EACH ROW EXECUTE FUNCTION store.alarm();
"""
FACTS = (
    "SELECT last_value, is_called FROM store.asked",
    "SELECT count(*) FROM search_outbox_events",
    "SELECT oid, pg_relation_size(oid) FROM pg_class WHERE relname !~ '^pg_' ORDER BY oid",
    "SELECT oid::regprocedure::text FROM pg_proc ORDER BY oid",
)
COUNTED = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY relid"


def facts(sql: psycopg.Connection) -> list[Any]:
    """All that is there; before PostgreSQL 15 a session cannot have what it counted seen at once."""
    queries = [*FACTS]
    if sql.info.server_version >= 150_000:
        sql.execute("SELECT pg_stat_force_next_flush()")
        queries.append(COUNTED)
    return [sql.execute(query.encode()).fetchall() for query in queries]


def writers(store: Store) -> dict[str, Any]:
    done = store("plan", "--json")
    assert done.returncode in (0, 4), done.stderr
    return {each["table"]: each for each in json.loads(done.stdout)["writers"]}


def test_each_kind_of_write_is_measured_and_nothing_of_it_is_left(store: Store) -> None:
    store.sql.execute(ROWS)
    store.sql.execute(ALARM)
    store.sql.execute("SELECT nextval('store.asked')")
    before = facts(store.sql)
    found = writers(store)
    assert facts(store.sql) == before
    products = {each["statement"]: each for each in found["store.products"]["statements"]}
    assert [*products] == ["INSERT", "UPDATE", "UPDATE unused", "DELETE"]
    assert found["store.products"]["rows"] == 200
    assert products["DELETE"]["with_triggers"] > products["DELETE"]["bare"] > 0
    assert [found[table]["skipped"] for table in found] == ["", "", ""]


def test_a_person_sees_what_is_measured_and_on_what(store: Store) -> None:
    store.sql.execute(ROWS)
    store.sql.execute("DELETE FROM store.reviews")
    shown = store("plan").stdout
    assert "µs a row without→with triggers, on copies" in shown
    assert "Not measured: store.reviews: it has too few rows" in shown


LOCKS = """
SELECT DISTINCT l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_type = 'client backend'
WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relnamespace IN (CAST('store' AS regnamespace), CAST('public' AS regnamespace))
"""


def test_a_writer_does_not_wait_while_a_plan_measures(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.sql.execute(ROWS)
    store.apply()
    (declared,) = store.sql.execute("SELECT definition FROM outbox_projections").fetchall()
    projection = in_force.OF_JSON.validate_python(declared[0])
    store.sql.execute("SET lock_timeout = '100ms'")
    held: set[str] = set()

    def watching(connection: Connection, statement: str) -> Any:
        held.update(mode for (mode,) in store.sql.execute(LOCKS).fetchall())
        store.sql.execute("UPDATE store.products SET title = 'written meanwhile' WHERE id = 1")
        return one_statement(connection, statement)

    monkeypatch.setattr(writer_costs, "one_statement", watching)
    with db.begin() as connection:
        found = writer_costs.measure(connection, [projection], "public", seconds=30)
        assert [each.skipped for each in found] == ["", "", ""]
        assert held == {"AccessShareLock"}
        store.sql.execute("ALTER TABLE store.products ADD later int")


def test_a_role_that_may_make_no_temporary_table_is_told_so(store: Store) -> None:
    store.sql.execute(ROWS)
    store.sql.execute(f"REVOKE TEMPORARY ON DATABASE {store.sql.info.dbname} FROM PUBLIC".encode())
    with a_login(store.sql, "USAGE ON SCHEMA store", "SELECT ON ALL TABLES IN SCHEMA store, public") as login:
        done = store("plan", "--json", env={"DATABASE_URL": login.url})
    assert done.returncode == 4, done.stderr
    (skipped,) = {each["skipped"] for each in json.loads(done.stdout)["writers"]}
    assert "permission denied to create temporary tables" in skipped


def test_event_triggers_do_not_run_for_the_copies(store: Store) -> None:
    store.sql.execute(ROWS)
    store.sql.execute(
        "CREATE FUNCTION store.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE; END'"
    )
    store.sql.execute("CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION store.on_ddl()")
    found = writers(store)
    assert {each["skipped"] for each in found.values()} == {"event triggers would run for the copies: on_ddl"}


PAID = """
INSERT INTO rental.languages SELECT n, 'l' || n FROM generate_series(1, 6) n;
INSERT INTO rental.films (id, title, language_id) SELECT n, 't' || n, 1 FROM generate_series(1, 100) n;
INSERT INTO rental.payments SELECT DISTINCT n, DATE '2022-01-01' + n % 200, n FROM generate_series(1, 300) n
"""


def test_all_projections_of_a_file_and_partitioned_tables_count(
    sql: psycopg.Connection, cli: Cli, index: str, tmp_path: Path
) -> None:
    sql.execute(rental.TABLES.encode())
    sql.execute(PAID)
    file = tmp_path / "rental.toml"
    indexes = {name: f"{index}-{name}" for name in ("film", "customer", "listed", "payment")}
    file.write_text(rental.DECLARATION.format(**indexes), encoding="utf-8")
    done = cli("projection", "plan", str(file), "--json")
    assert done.returncode == 4, done.stderr
    found = {each["table"]: each for each in json.loads(done.stdout)["writers"]}
    assert len(found) == 11
    assert found["rental.payments"]["skipped"] == ""
    assert {each["statement"] for each in found["rental.payments"]["statements"]} >= {"INSERT", "UPDATE"}
