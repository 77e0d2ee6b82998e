"""`db notify`: one notification a transaction, heard by the workers of this outbox and nobody else's."""

from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.schema import notify
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.namespaces import create_schema
from outboxctl.core.sql import text
from outboxctl.domain.errors import UnreachableError
from processes import Cli

EVENT = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
VALUES (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'pending')"""
PARTITIONED = """
ALTER TABLE search_outbox_events RENAME TO plain;
CREATE TABLE search_outbox_events (LIKE plain INCLUDING DEFAULTS) PARTITION BY HASH (id);
CREATE TABLE whole PARTITION OF search_outbox_events FOR VALUES WITH (MODULUS 1, REMAINDER 0);
"""


def switch(db: Database, *, on: bool = True) -> notify.NotifyState:
    with db.begin() as connection:
        return notify.switch(connection, on=on)


def test_another_schema_of_the_same_database_wakes_nobody(db: Database, url: str) -> None:
    own = f"lab_{uuid4().hex[:8]}"
    other = Database(create_schema(url, own))
    upgrade(other, None)
    with notify.listening(db, switch(db).channel) as ear:
        assert switch(other).channel != ear.channel
        for each in (other, db):
            with each.begin() as connection:
                connection.execute(text(EVENT))
        assert ear.receive(30) == [""]
        assert ear.receive(0.2) == []
    other.close()


def test_one_notification_a_transaction_and_none_once_off(db: Database, sql: psycopg.Connection) -> None:
    with notify.listening(db, switch(db).channel) as ear:
        with sql.transaction():
            for _ in range(100):
                sql.execute(EVENT)
        assert ear.receive(30) == [""]
        assert not switch(db, on=False).on
        sql.execute(EVENT)
        assert ear.receive(0.2) == []
    assert sql.execute("SELECT FROM pg_proc WHERE proname = 'outbox_notify'").fetchall() == []


def test_a_table_that_became_a_partition_is_off_again(db: Database, sql: psycopg.Connection) -> None:
    switch(db)
    sql.execute(PARTITIONED)
    with db.begin() as connection:
        assert not notify.status(connection).on
    with notify.listening(db, switch(db).channel) as ear:
        sql.execute(EVENT)
        assert ear.receive(30) == [""]
    assert not switch(db, on=False).on


@pytest.mark.slow(reason="the command, again and again")
def test_the_command_says_how_it_stands_and_may_be_repeated(cli: Cli, db: Database) -> None:
    assert not cli.json("db", "notify", "status")["on"]
    for _ in range(2):
        assert cli.json("db", "notify", "on")["on"]
    with notify.listening(db, cli.json("db", "notify", "status")["channel"]):
        assert cli.json("db", "notify", "status")["listening"] == 1
    assert "do not notify" in cli.ok("db", "notify", "off")
    assert "do not notify" in cli.ok("db", "notify", "off")


def test_a_switch_does_not_wait_for_long_behind_a_transaction(
    db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waited, every writer would wait behind it."""
    monkeypatch.setattr(notify, "PATIENCE", "SET LOCAL lock_timeout = '50ms'")
    with sql.transaction():
        sql.execute(EVENT)
        with pytest.raises(UnreachableError, match="lock timeout") as refused:
            switch(db)
    assert "transaction is in the way" in refused.value.hint
    assert switch(db).on
