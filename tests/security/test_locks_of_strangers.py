"""A login without any right takes what locks it may: nothing of ours waits for it, or it is named."""

import threading
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

import outboxctl
from outboxctl.core.database import Database
from outboxctl.core.operator import rebuilds
from outboxctl.core.projections import changes
from outboxctl.core.schema import lock_wait
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.roles import Role
from processes import Cli
from projections.store import Store
from security.as_roles import Roles

OF_REBUILDS = 731_610_841
Sql = psycopg.Connection


@pytest.fixture
def stranger(as_roles: Roles) -> Iterator[Sql]:
    """A login's session that holds the advisory locks of which it knows."""
    with psycopg.connect(as_roles.login("mallory"), autocommit=True, application_name="innocent") as own:
        own.execute(f"SELECT pg_advisory_lock({lock_wait.KEY})".encode())
        yield own


@pytest.mark.usefixtures("stranger")
def test_it_holds_up_no_upgrade_apply_or_drop(store: Store, cli: Cli, db: Database, sql: Sql) -> None:
    assert upgrade(db, None, patience=0).added == []
    store.apply()
    sql.execute(store("sql").stdout.encode())
    cli.ok("projection", "drop", "product", "--by", "t", "--reason", "t", "--yes", "--wait", "0")


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.WORKER, Role.PRODUCER])
def test_only_who_may_change_rebuilds_takes_the_lock_of_changes(
    as_roles: Roles, db: Database, role: Role | None
) -> None:
    with psycopg.connect(as_roles.login("app", role)) as own:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(changes.begin_sql("public").encode())
        own.rollback()
    assert upgrade(db, None, patience=0).added == []


def test_a_rebuild_names_who_holds_its_lock_and_none_is_said_to_run(
    as_roles: Roles, stranger: Sql, cli: Cli, db: Database, index: str
) -> None:
    stranger.execute("SELECT pg_advisory_lock(%s::int, hashtext(%s))", [OF_REBUILDS, index])
    done = cli("rebuild", "--yes", "--by", "t", "--reason", "t")
    assert done.returncode == 2
    assert f"pid {stranger.info.backend_pid}, {as_roles.prefix}mallory (innocent)" in done.stderr
    with db.begin() as connection:
        assert not rebuilds.runs(connection, index)


PARTITIONED = """
DROP TABLE search_outbox_events;
CREATE TABLE search_outbox_events (id uuid, entity_type text, entity_id uuid, op text, event_version int8,
    status text, attempts int, replay_count int, created_at timestamptz, updated_at timestamptz,
    traceparent text) PARTITION BY RANGE (created_at);
CREATE TABLE rest PARTITION OF search_outbox_events DEFAULT;
"""


def test_a_deadlock_of_two_enqueues_ends_by_the_servers_error(url: str, sql: Sql) -> None:
    """In a partitioned outbox an advisory lock stands for the unique index on the id."""
    sql.execute(PARTITIONED)
    ids = [uuid4(), uuid4()]
    ends: list[str] = []

    def enqueue(own: Sql, id_: UUID) -> None:
        outboxctl.enqueue(own, entity_type="b", entity_id=uuid4(), event_version=1, event_id=id_)

    def second(own: Sql, id_: UUID) -> None:
        try:
            enqueue(own, id_)
        except psycopg.Error as error:
            ends.append(type(error).__name__)
            own.rollback()

    with psycopg.connect(url) as one, psycopg.connect(url) as two:
        for own, id_ in zip((one, two), ids, strict=True):
            own.execute("SET statement_timeout = '20s'")
            enqueue(own, id_)
        waiting = threading.Thread(target=second, args=(one, ids[1]))
        waiting.start()
        second(two, ids[0])
        waiting.join(30)
    assert ends == ["DeadlockDetected"]
    assert sql.execute("SELECT count(*), count(DISTINCT id) FROM search_outbox_events").fetchone() == (2, 2)
