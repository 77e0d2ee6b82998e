"""A server that hides its identity: projections work, and fallen versions are noticed by a conflict."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.projections import version_base
from processes import Worker, eventually
from projections.logins import a_login
from projections.store import WHO, Store, own

# Built in functions cannot be replaced: calls by name find these.
HIDES = b"""
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_system_hidden;
ALTER FUNCTION pg_catalog.pg_current_wal_lsn() RENAME TO pg_current_wal_lsn_hidden;
CREATE FUNCTION pg_catalog.pg_control_system(OUT system_identifier bigint) LANGUAGE plpgsql
AS $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied for function'; END $$;
CREATE FUNCTION pg_catalog.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql
AS $$ BEGIN RAISE object_not_in_prerequisite_state USING MESSAGE = 'wal_level must be set to logical'; END $$;
RESET allow_system_table_mods;
"""
# A function of SQL is inlined: calls of the built in one would be its own.
A_STANDBY = b"""
SET allow_system_table_mods = on;
CREATE OR REPLACE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS boolean LANGUAGE sql VOLATILE
AS 'SELECT true';
"""
RIGHTS = "EXECUTE ON FUNCTION pg_catalog.pg_control_system()"
BASE = "SELECT base, system_identifier, timeline FROM outbox_version_base"
TITLE = "UPDATE store.products SET title = %s"


@pytest.fixture
def login(store: Store) -> Iterator[str]:
    """The URL of a role that owns all tables and may not ask for the server's identifier."""
    with a_login(store.sql) as made:
        own(store.sql, made.name)
        store.sql.execute(f"REVOKE {RIGHTS} FROM PUBLIC".encode())
        yield made.url


def base(sql: psycopg.Connection) -> tuple[object, ...]:
    """The base of all versions, and the server that it is good for."""
    return sql.execute(BASE).fetchone() or ()


def titles(engine: Elasticsearch, index: str) -> list[str]:
    """The titles of all documents."""
    engine.indices.refresh(index=index)
    return [hit["_source"]["title"] for hit in engine.search(index=index)["hits"]["hits"]]


def test_projections_work_on_a_server_that_hides_all_and_a_conflict_raises_their_versions(
    store: Store, engine: Elasticsearch
) -> None:
    store.sql.execute(HIDES)
    store.apply()
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'cup')")
    store.cli.ok("worker", "--drain")
    assert base(store.sql) == (0, "", "")
    assert titles(engine, store.index) == ["cup"]
    lost = {"title": "lost", "id": 1}
    engine.index(index=store.index, id="1", document=lost, version=2**33, version_type="external_gte")
    store.sql.execute(TITLE, ["mug"])
    drained = store.cli("worker", "--drain")
    assert titles(engine, store.index) == ["mug"]
    assert drained.stderr.count("the versions of documents were raised") == 1
    assert base(store.sql) == (2**33, "", "")


def test_a_role_that_may_not_ask_for_the_identifier_applies_and_delivers(
    store: Store, login: str, engine: Elasticsearch
) -> None:
    limited = {"DATABASE_URL": login}
    assert store("apply", *WHO, env=limited).returncode == 0
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'cup')")
    store.cli.ok("worker", "--drain", env=limited)
    assert base(store.sql) == (0, "", "00000001")
    assert titles(engine, store.index) == ["cup"]
    (known,) = store.sql.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone() or ()
    for title, env in (("mug", {}), ("jug", limited)):
        store.sql.execute(TITLE, [title])
        assert "raised" not in store.cli("worker", "--drain", env=env).stderr
        assert titles(engine, store.index) == [title]
        assert base(store.sql) == (0, known, "00000001"), "whoever may ask writes it down, and raises nothing"


def test_events_are_delivered_when_the_right_to_ask_is_taken_from_a_running_worker(
    store: Store, login: str, engine: Elasticsearch, worker: Callable[..., Worker]
) -> None:
    store.sql.execute(f"GRANT {RIGHTS} TO PUBLIC".encode())
    store.apply()
    worker(DATABASE_URL=login)
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'cup')")
    eventually(lambda: titles(engine, store.index) == ["cup"])
    store.sql.execute(f"REVOKE {RIGHTS} FROM PUBLIC".encode())
    store.sql.execute(TITLE, ["mug"])
    eventually(lambda: titles(engine, store.index) == ["mug"])


@pytest.mark.parametrize("column", ["system_identifier", "timeline"])
def test_what_is_not_hidden_still_shows_another_server(store: Store, login: str, column: str) -> None:
    store.apply()
    store.sql.execute(f"UPDATE outbox_version_base SET {column} = 'another'".encode())
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'cup')")
    store.cli.ok("worker", "--drain", env={"DATABASE_URL": login})
    raised = 2**32 if column == "timeline" else 0
    assert base(store.sql)[0] == raised


def test_a_standby_that_hides_its_timeline_gives_no_version(store: Store, db: Database) -> None:
    """A pooler may lead a session there."""
    store.sql.execute(HIDES)
    store.apply()
    with db.begin() as connection:
        version_base.raise_base(connection)
        assert version_base.current(connection) is not None
        connection.exec_driver_sql(A_STANDBY.decode())
        assert version_base.current(connection) is None
