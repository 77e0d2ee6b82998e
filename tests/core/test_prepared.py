"""A session of the worker's own plans a claim once; whatever happens to the plan, events are claimed."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

import pgbouncer
from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.message import PreparedStatements
from outboxctl.core.schema.migrations import upgrade
from outboxctl.domain.errors import OutboxctlError
from scene import event

PREPARED = "SELECT count(*) FROM pg_prepared_statements"
WIDER = "ALTER TABLE public.search_outbox_events ALTER COLUMN event_version TYPE numeric"
LOCKED = "LOCK search_outbox_events"


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """One connection, so that each transaction is in the same session."""
    with closing(Database(url, connections=1, lock_timeout=0.2)) as db:
        yield db


def taken(db: Database, token: str | None = None) -> list[str]:
    with db.begin() as connection:
        found = claim(connection, owner="w", token=token or str(uuid4()), size=9, lease=30, commit=True)
    return [each.id for each in found.events]


def kept(db: Database) -> int:
    with db.begin() as connection:
        return int(connection.exec_driver_sql(PREPARED).scalar_one())


def test_a_session_of_our_own_plans_a_claim_and_a_settle_once(db: Database, sql: psycopg.Connection) -> None:
    for _ in range(4):
        id_, token = event(sql, event_version=1), str(uuid4())
        assert taken(db, token) == [id_]
        with db.begin() as connection:
            assert settle.write(connection, token, done=[id_]).hit == {id_}
    assert kept(db) == 2
    assert sql.execute("SELECT count(*) FROM search_outbox_events WHERE status = 'done'").fetchone() == (4,)


def test_it_claims_what_is_due_and_no_more_than_it_was_asked_for(
    db: Database, sql: psycopg.Connection
) -> None:
    ids = [event(sql, event_version=1) for _ in range(7)]
    found: list[Claimed] = []
    for size in (1, 2, 0, 3):
        with db.begin() as connection:
            found += claim(connection, owner="w", token=str(uuid4()), size=size, lease=30).events
    assert kept(db) == 1
    assert [each.id for each in found] == ids[:6]


@pytest.mark.parametrize("change", ["DEALLOCATE ALL", WIDER], ids=["plan lost", "column of another type"])
def test_a_plan_that_is_good_no_more_costs_one_claim(
    db: Database, sql: psycopg.Connection, change: str
) -> None:
    for _ in range(3):
        taken(db)
    with db.begin() as connection:
        connection.exec_driver_sql(change)
    id_ = event(sql, event_version=1)
    with pytest.raises(OutboxctlError):
        taken(db)
    assert taken(db) == [id_]
    assert kept(db) == 1


def test_after_an_error_no_plan_is_left_over(db: Database, sql: psycopg.Connection) -> None:
    taken(db)
    for _ in range(3):
        with sql.transaction():
            sql.execute(LOCKED)
            with pytest.raises(OutboxctlError):
                taken(db)
    id_ = event(sql, event_version=1)
    assert taken(db) == [id_]
    assert kept(db) == 1


@pytest.mark.skipif(not pgbouncer.available(), reason="no PgBouncer to be had")
def test_behind_a_pooler_nothing_is_prepared(empty_url: str) -> None:
    """Its sessions are everybody's: another client would find our statement, or we none."""
    with closing(Database(empty_url)) as direct:
        upgrade(direct, None)
    with pgbouncer.pgbouncer(empty_url, size=1) as url, closing(Database(url, connections=1)) as pooled:
        for _ in range(4):
            taken(pooled)
        assert kept(pooled) == 0


def test_a_statement_is_named_by_what_it_does() -> None:
    """Behind a pooler that went unnoticed a number could be the name of another worker's statement."""

    def named(*texts: str) -> str:
        own = PreparedStatements()
        own.ours = True
        return [own.of(text, {"n": "int"})[-1] for text in texts][-1]

    assert named("SELECT %(n)s") == named("SELECT 0, %(n)s", "SELECT %(n)s")
    assert named("SELECT %(n)s") != named("SELECT 0, %(n)s")
