"""An upgrade creates or adopts; it drops nothing, and says what it did."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.migrations import current, head, upgrade, upgrade_sql
from outboxctl.errors import UsageError

# The two tables as the lab document's own application has them: no defaults, an index on every column.
LAB = """
CREATE TABLE search_outbox_events (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, op varchar(20) NOT NULL,
    event_version bigint NOT NULL, status varchar(20) NOT NULL, owner varchar(120), lease_until timestamptz,
    processing_started_at timestamptz, attempts int NOT NULL, next_retry_at timestamptz,
    processed_at timestamptz, error_reason varchar(80), error text, replay_count int NOT NULL,
    last_replayed_at timestamptz, last_replayed_by varchar(120), last_replayed_reason text,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, their_own_column text);
CREATE INDEX theirs_status ON search_outbox_events (status);
CREATE INDEX theirs_created ON search_outbox_events (created_at);
CREATE TABLE search_index (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, library_id uuid,
    text text, snippet text, rank_score float, event_version bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
CREATE UNIQUE INDEX theirs_entity ON search_index (entity_id, entity_type);
CREATE TABLE alembic_version (version_num varchar(32));
INSERT INTO alembic_version VALUES ('their-own-head');
"""


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    db = Database(empty_url)
    yield db
    db.close()


@pytest.fixture
def raw(empty_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


def row(status: str) -> tuple[object, ...]:
    return (uuid4(), uuid4(), status)


def test_a_fresh_database(empty: Database) -> None:
    done = upgrade(empty, None)
    assert (done.before, done.after) == (None, head())
    assert "table search_outbox_events" in done.added
    assert upgrade(empty, None).added == []


def test_the_lab_documents_database_is_adopted(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute(LAB)
    for status in ("pending", "processing", "done", "failed", "done"):
        raw.execute(
            "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status,"
            " attempts, replay_count, owner, created_at, updated_at)"
            " VALUES (%s, 'block', %s, 'upsert', 1, %s, 1, 0, 'left over', now(), now())",
            row(status),
        )
    before = raw.execute("SELECT id, status, owner FROM search_outbox_events ORDER BY id").fetchall()
    done = upgrade(empty, "test")
    assert "column search_outbox_events.lease_token uuid" in done.added
    assert any("ix_search_outbox_events_due" in item for item in done.added)
    assert not any("uq_search_index_entity" in item for item in done.added), "theirs serves"
    assert raw.execute("SELECT id, status, owner FROM search_outbox_events ORDER BY id").fetchall() == before
    theirs = raw.execute("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'theirs%'").fetchone()
    assert theirs == (3,)
    assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("their-own-head",)]
    assert upgrade(empty, "test").added == []


def test_a_table_that_cannot_be_adopted_is_left_alone(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute(LAB.replace("lease_until timestamptz", "lease_until timestamp"))
    with pytest.raises(UsageError, match="lease_until is timestamp without time zone"):
        upgrade(empty, None)
    columns = raw.execute(
        "SELECT count(*) FROM information_schema.columns WHERE column_name = 'lease_token'"
    ).fetchone()
    assert columns == (0,)
    with empty.begin() as connection:
        assert current(connection) is None


def test_the_marker_is_written_once_and_defends_itself(empty: Database) -> None:
    assert upgrade(empty, None).environment is None
    assert upgrade(empty, "test").environment == "test"
    assert upgrade(empty, None).environment == "test"
    with pytest.raises(UsageError, match="marked test"):
        upgrade(empty, "prod")


def test_a_schema_from_the_future_is_left_alone(empty: Database, raw: psycopg.Connection) -> None:
    upgrade(empty, None)
    raw.execute("UPDATE outboxctl_alembic_version SET version_num = '9999'")
    with pytest.raises(UsageError, match="9999"):
        upgrade(empty, None)


def test_the_printed_sql_makes_the_same_schema(
    empty: Database, raw: psycopg.Connection, sql: psycopg.Connection
) -> None:
    raw.execute(upgrade_sql())
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    for question in (columns, indexes):
        assert raw.execute(question).fetchall() == sql.execute(question).fetchall()
    with empty.begin() as connection:
        assert current(connection) == head()


def test_a_missing_schema_says_what_to_run(empty: Database) -> None:
    with pytest.raises(UsageError) as caught, empty.begin() as connection:
        connection.exec_driver_sql("SELECT FROM search_outbox_events")
    assert "outboxctl db upgrade" in caught.value.hint
