"""Who may only insert events can make them sent again, and nothing else: tried as SQL by that role."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

import outboxctl
from outboxctl.core.schema.roles import Role
from processes import Cli
from security.as_roles import Roles, roles

pytestmark = pytest.mark.slow(reason="a role for each way of producing")

EVENT = {"entity_type": "'block'", "entity_id": "gen_random_uuid()", "op": "'upsert'", "event_version": "1"}
# Lab document, section 6.2, word for word.
DOCUMENT = """
INSERT INTO search_outbox_events (
	id,
	entity_type,
	entity_id,
	op,
	event_version,
	status,
	attempts,
	replay_count,
	created_at,
	updated_at
) VALUES (
	gen_random_uuid(),
	'block',
	gen_random_uuid(),
	'not-a-real-op',
	0,
	'pending',
	0,
	0,
	now(),
	now()
);
"""
FORGED = {
    "born failed": {"status": "'failed'"},
    "born done": {"status": "'done'"},
    "an error of his own": {"error_reason": "'mapping'", "error": "'alice did it'"},
    "a replay that never was": {"last_replayed_by": "'alice'"},
    "a count of replays": {"replay_count": "7"},
    "attempts spent": {"attempts": "9"},
    "never due": {"next_retry_at": "'infinity'"},
    "held by a worker": {"status": "'processing'", "owner": "'w'", "lease_until": "now() + interval '1 day'"},
    "done long ago": {"processed_at": "'2001-01-01'"},
}


def _insert(**more: str) -> bytes:
    given = EVENT | more
    return (
        f"INSERT INTO search_outbox_events ({', '.join(given)}) VALUES ({', '.join(given.values())})".encode()
    )


@pytest.fixture
def producer(as_roles: Roles) -> Iterator[psycopg.Connection]:
    with psycopg.connect(as_roles.login("app", Role.PRODUCER), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_event_cannot_be_born_with_a_past(
    producer: psycopg.Connection, sql: psycopg.Connection, forged: dict[str, str]
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="search_outbox_events"):
        producer.execute(_insert(**forged))
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (0,)


@pytest.mark.parametrize("when", ["'2001-01-01'", "'infinity'"])
def test_a_chosen_time_of_birth_raises_no_alarm(
    producer: psycopg.Connection, cli: Cli, sql: psycopg.Connection, when: str
) -> None:
    producer.execute(_insert(created_at=when, updated_at=when))
    assert cli.json("status")["oldest_age_seconds"] < 60
    near = "created_at BETWEEN now() - interval '1 min' AND now() AND updated_at = created_at"
    assert sql.execute(f"SELECT {near} FROM search_outbox_events".encode()).fetchall() == [(True,)]


def test_what_applications_write_today_they_may_write(
    producer: psycopg.Connection, sql: psycopg.Connection
) -> None:
    producer.execute(DOCUMENT.encode())
    producer.execute(_insert())
    producer.execute(_insert(created_at="clock_timestamp()", updated_at="clock_timestamp()"))
    event: dict[str, Any] = {"entity_type": "block", "entity_id": uuid4(), "event_version": 1}
    event["event_id"] = uuid4()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for _ in range(2):
        outboxctl.enqueue(producer, **event, traceparent=trace)
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (4,)


def test_the_triggers_function_works_for_a_producer(
    as_roles: Roles, cli: Cli, sql: psycopg.Connection
) -> None:
    url = as_roles.login("app", Role.PRODUCER)
    grant = SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON search_index TO {}")
    sql.execute(grant.format(Identifier(f"{as_roles.prefix}app")))
    sql.execute(cli.ok("db", "trigger").encode())
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO search_index (id, entity_type, entity_id, event_version)"
            " VALUES (gen_random_uuid(), 'page', gen_random_uuid(), 1)"
        )
        connection.execute("UPDATE search_index SET event_version = 2")
        connection.execute("DELETE FROM search_index")
    events = sql.execute(
        "SELECT op, event_version FROM search_outbox_events ORDER BY event_version"
    ).fetchall()
    assert events == [("upsert", 1), ("upsert", 2), ("delete", 3)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT op FROM search_outbox_events",
        "UPDATE search_outbox_events SET status = 'done'",
        "DELETE FROM search_outbox_events",
        "TRUNCATE search_outbox_events",
        "SELECT FROM outbox_operator_audit",
        "INSERT INTO outbox_workers (id) VALUES (gen_random_uuid())",
        "SELECT FROM search_index",
    ],
)
def test_it_may_nothing_else(producer: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        producer.execute(statement.encode())


def test_owner_and_superuser_still_restore_what_they_like(sql: psycopg.Connection) -> None:
    sql.execute(_insert(status="'failed'", attempts="3", created_at="'2001-01-01'"))
    assert sql.execute("SELECT extract(year FROM created_at)::int FROM search_outbox_events").fetchone() == (
        2001,
    )


def test_a_partitioned_outbox_is_held_too(empty_url: str, cli: Cli) -> None:
    with psycopg.connect(empty_url, autocommit=True) as owner:
        owner.execute(
            "CREATE TABLE search_outbox_events (id uuid NOT NULL, created_at timestamptz NOT NULL"
            " DEFAULT now(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);"
            "CREATE TABLE rest PARTITION OF search_outbox_events DEFAULT"
        )
        cli.ok("db", "upgrade", env={"DATABASE_URL": empty_url})
        with roles(owner, empty_url) as made:
            with psycopg.connect(made.login("app", Role.PRODUCER), autocommit=True) as app:
                outboxctl.enqueue(app, entity_type="b", entity_id=uuid4(), event_version=1, event_id=uuid4())
                app.execute(_insert(created_at="'2001-01-01'"))
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(_insert(status="'failed'"))
            old = "SELECT count(*) FROM search_outbox_events WHERE created_at < now() - interval '1 min'"
            assert owner.execute(old).fetchone() == (0,)


def test_a_strangers_function_of_that_name_does_not_become_ours(
    as_roles: Roles, empty_url: str, cli: Cli
) -> None:
    name = Identifier(f"{as_roles.prefix}mallory")
    as_roles.login("mallory")
    with psycopg.connect(empty_url, autocommit=True) as owner:
        body = "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        for function in ("outbox_event_begins", "outbox_audit_by_database"):
            owner.execute(body.format(function).encode())
            owner.execute(SQL("ALTER FUNCTION {}() OWNER TO {}").format(Identifier(function), name))
        cli.ok("db", "upgrade", env={"DATABASE_URL": empty_url})
        whose = "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE proname LIKE 'outbox%'"
        assert owner.execute(whose.encode()).fetchall() == [(owner.info.user,)]


CALLS = "SELECT coalesce(pg_stat_get_xact_function_calls(to_regproc('outbox_event_begins')), 0)"


def _calls(connection: psycopg.Connection) -> int:
    """How often the check of an event's values is called for an insert."""
    counts = []
    with connection.transaction():
        for statement in (CALLS, _insert(), CALLS):
            cursor = connection.execute(statement if isinstance(statement, bytes) else statement.encode())
            counts += cursor.fetchall() if cursor.description else []
    return int(counts[1][0] - counts[0][0])


@pytest.mark.parametrize("right", ["UPDATE (status)", "UPDATE (created_at)", "DELETE", "SELECT"])
def test_only_who_may_update_the_whole_table_is_not_checked(
    as_roles: Roles, sql: psycopg.Connection, right: str
) -> None:
    database, name = Identifier(sql.info.dbname), Identifier(f"{as_roles.prefix}app")
    sql.execute(SQL("ALTER DATABASE {} SET track_functions = 'pl'").format(database))
    url = as_roles.login("app", Role.PRODUCER)
    sql.execute(f"GRANT {right} ON search_outbox_events TO {name.as_string()}".encode())
    with psycopg.connect(url, autocommit=True) as app:
        assert _calls(app) == 1
        sql.execute(SQL("GRANT UPDATE ON search_outbox_events TO {}").format(name))
        assert _calls(app) == 0
    with psycopg.connect(as_roles.url, autocommit=True) as owner:
        assert _calls(owner) == 0
