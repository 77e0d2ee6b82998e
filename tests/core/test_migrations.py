"""An upgrade creates or adopts; it drops nothing that a user has made, and says what it did."""

from collections.abc import Iterator
from pathlib import Path
from uuid import RFC_4122, uuid4

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from outboxctl.core.database import Database
from outboxctl.core.schema import marker
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.migrations import config, upgrade, upgrade_sql
from outboxctl.core.schema.names import DUE, HEAD, VERSION
from outboxctl.core.tables import METADATA
from outboxctl.domain.errors import UsageError
from processes import Cli

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

NEWER = "uuidv7_of_a_newer_server"


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    db = Database(empty_url)
    yield db
    db.close()


def row(status: str) -> tuple[object, ...]:
    return (uuid4(), uuid4(), status)


def test_a_fresh_database(empty: Database, raw: psycopg.Connection) -> None:
    done = upgrade(empty, None)
    assert (done.before, done.after) == (None, HEAD)
    assert "table search_outbox_events" in done.added
    by_rows = {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=20000"}
    assert by_rows <= set(autovacuum(raw) or []), "not by shares"
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
    assert not [item for item in done.added if "search_outbox_events.status" in item], (
        "theirs, with a default"
    )
    assert any("ix_search_outbox_events_next" in item for item in done.added)
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
        assert current(connection) == HEAD


def of_id(raw: psycopg.Connection, table: str = "search_outbox_events") -> str | None:
    named = "FROM information_schema.columns WHERE column_name = 'id' AND table_name = %s"
    return raw.execute(f"SELECT column_default {named}", (table,)).fetchall()[0][0]  # type: ignore[no-any-return]


def version_7(raw: psycopg.Connection) -> str:
    """The function by which the default of `id` makes an id on this server."""
    return "uuidv7()" if raw.info.server_version >= 180_000 else "gen_random_uuid()"


def autovacuum(raw: psycopg.Connection, table: str = "search_outbox_events") -> list[str] | None:
    found = raw.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", (table,)).fetchall()
    return found[0][0]  # type: ignore[no-any-return]


def test_a_server_without_version_7_makes_the_same_ids_by_hand(raw: psycopg.Connection) -> None:
    raw.execute(upgrade_sql().replace("uuidv7", NEWER))
    assert "gen_random_uuid" in str(of_id(raw))
    made = raw.execute(
        "INSERT INTO search_outbox_events (entity_type, entity_id, op)"
        " SELECT 'block', gen_random_uuid(), 'upsert' FROM generate_series(1, 2000)"
        " RETURNING id, extract(epoch FROM clock_timestamp())::float8"
    ).fetchall()
    ids = [id_ for id_, _ in made]
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, RFC_4122)}
    assert [id_.int >> 64 for id_ in ids] == sorted(id_.int >> 64 for id_ in ids)
    assert len(set(ids)) == 2000
    assert all(abs((id_.int >> 80) / 1000 - at) < 5 for id_, at in made)


def test_what_the_application_has_set_stays(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute(LAB.replace("id uuid PRIMARY KEY", "id uuid PRIMARY KEY DEFAULT md5('x')::uuid", 1))
    raw.execute("ALTER TABLE search_outbox_events SET (autovacuum_vacuum_threshold = 7, fillfactor = 90)")
    upgrade(empty, None)
    assert "md5" in str(of_id(raw))
    assert autovacuum(raw) == ["autovacuum_vacuum_threshold=7", "fillfactor=90"]


def test_each_partition_gets_its_own(empty: Database, raw: psycopg.Connection) -> None:
    raw.execute(
        "CREATE TABLE search_outbox_events (id uuid NOT NULL, created_at timestamptz NOT NULL,"
        " PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);"
        "CREATE TABLE theirs PARTITION OF search_outbox_events FOR VALUES FROM (MINVALUE) TO ('2020-01-01')"
        " WITH (autovacuum_enabled = off);"
        "CREATE TABLE two PARTITION OF search_outbox_events DEFAULT PARTITION BY RANGE (created_at);"
        'CREATE TABLE "one of ""two" PARTITION OF two DEFAULT;'
    )
    upgrade(empty, None)
    assert of_id(raw) == of_id(raw, 'one of "two')
    assert version_7(raw) in str(of_id(raw))
    assert "autovacuum_vacuum_threshold=20000" in (autovacuum(raw, '"one of ""two"') or [])
    assert autovacuum(raw, "theirs") == ["autovacuum_enabled=off"]
    assert autovacuum(raw) is None


@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
def test_the_tables_of_the_code_are_those_of_the_migrations(url: str) -> None:
    """Columns, types, indexes; a constraint that an adopted table may have otherwise is not in METADATA."""
    engine = create_engine(f"postgresql+psycopg://{url.partition('://')[2]}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION})
        found = [each for each in compare_metadata(context, METADATA) if each[0] != "remove_constraint"]
        # Alembic takes an expression with a collation for another one than the server prints.
        assert [each for each in found if getattr(each[1], "name", "") != DUE] == []
    engine.dispose()
    scripts = ScriptDirectory.from_config(config())
    assert scripts.get_current_head() == HEAD
    assert {each.revision for each in scripts.walk_revisions()} == {
        path.stem for path in Path(scripts.versions).glob("*.py")
    }


def test_another_schema_than_the_newest_is_refused_with_what_to_run(
    empty: Database, raw: psycopg.Connection
) -> None:
    upgrade(empty, None)
    with marker.checked(empty, None):
        pass
    raw.execute("UPDATE outboxctl_alembic_version SET version_num = '9999'")
    with pytest.raises(UsageError) as caught, marker.checked(empty, None):
        pass
    assert "outboxctl db upgrade" in caught.value.hint


@pytest.mark.parametrize("revision", ["0001", "0002", "0018", "9999"])
def test_the_schema_of_an_older_checkout_or_a_newer_release_is_left_alone_with_what_to_do(
    cli: Cli,
    empty: Database,
    raw: psycopg.Connection,
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
    revision: str,
) -> None:
    upgrade(empty, None)
    raw.execute("DROP FUNCTION outbox_workers_own() CASCADE")
    raw.execute("UPDATE outboxctl_alembic_version SET version_num = %s", [revision])
    done = cli("db", "upgrade", env={"DATABASE_URL": empty_url})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"at revision {revision}, which this outboxctl does not know" in done.stderr
    assert "upgrade outboxctl" in done.stderr
    assert "use a new database" in done.stderr
    monkeypatch.setenv("DATABASE_URL", empty_url)
    with pytest.raises(UsageError, match=f"at revision {revision}, which"):  # as `alembic` in a checkout does
        command.upgrade(config(), "head")
    left = "SELECT version_num, to_regproc('outbox_workers_own') FROM outboxctl_alembic_version"
    assert raw.execute(left).fetchall() == [(revision, None)]


def test_what_put_views_aside_in_a_former_version_is_dropped(
    empty: Database, raw: psycopg.Connection
) -> None:
    dump = (Path(__file__).parents[1] / "upgrade" / "former.sql").read_text(encoding="utf-8")
    raw.execute(dump.encode())
    raw.execute("RESET search_path")
    theirs = "public.outbox_projections_view(text)"
    raw.execute(f"CREATE FUNCTION {theirs} RETURNS int LANGUAGE sql AS 'SELECT 1'".encode())
    assert upgrade(empty, None).before == "0002_suspended_views"
    left = "SELECT oid::regprocedure::text FROM pg_proc WHERE starts_with(proname, 'outbox_projections_')"
    assert raw.execute(left).fetchall() == [(theirs.removeprefix("public."),)]
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'outbox_projections'"
    assert ("suspended",) not in raw.execute(columns).fetchall()
