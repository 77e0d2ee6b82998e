"""The server itself, and the whole of a healthy house: on a PostgreSQL and an engine of their own."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from elasticsearch import Elasticsearch

from clusters import Cluster
from operations.doctor.ward import Ward, named
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.operations.doctor.model import End
from outboxctl.sink.index.index_setup import ensure
from sinks import client_of


def test_a_house_in_order_yields_nothing_at_all(own_database: Ward, own_engine: str) -> None:
    ward = own_database
    ward.monkeypatch.setenv("ELASTIC_URL", own_engine)
    ward.monkeypatch.setenv("ELASTIC_INDEX", "in-order")
    with Elasticsearch(own_engine) as client:
        ensure(client_of(client), "in-order")
        client.cluster.put_settings(persistent={"action.auto_create_index": "false"})
    ward.do("ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();")
    ward.do("SELECT pg_sleep(0.2)")
    report = ward.examine(ignored=())
    ward.do("ALTER SYSTEM RESET fsync; SELECT pg_reload_conf();")
    assert report.findings == []
    assert len(report.examined) == 21
    assert not report.unreachable


@pytest.mark.parametrize(("id_", "setting"), [("fsync-off", "fsync"), ("autovacuum-off", "autovacuum")])
def test_what_no_server_should_do_without_is_switched_on(own_database: Ward, id_: str, setting: str) -> None:
    own_database.do(f"ALTER SYSTEM SET {setting} = off; SELECT pg_reload_conf(); SELECT pg_sleep(0.2)")
    found = own_database.one(id_, End.DATABASE)
    own_database.do(f"{found.mend} SELECT pg_sleep(0.2)")
    assert id_ not in [each.id for each in own_database.examine(End.DATABASE, ignored=()).findings]


def test_commits_that_do_not_wait_are_made_to(own_database: Ward) -> None:
    name = own_database.url.rpartition("/")[2]
    own_database.do(f"ALTER DATABASE {name} SET synchronous_commit = off")
    own_database.cures("synchronous-commit-off", End.DATABASE)


def test_a_prepared_transaction_that_nobody_ended(own_database: Ward) -> None:
    later = datetime.now(UTC) + timedelta(minutes=6)
    with psycopg.connect(own_database.url, autocommit=True) as connection:
        connection.execute("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'it''s mine'")
    assert "prepared-transaction" not in own_database.ids(End.DATABASE)
    assert "'it''s mine'" in own_database.cures("prepared-transaction", End.DATABASE, now=later).what


def test_a_slot_that_nobody_reads(own_database: Ward) -> None:
    own_database.do("SELECT pg_create_physical_replication_slot('odd_slot', true)")
    assert "physical replication slot 'odd_slot'" in own_database.cures("slot-inactive", End.DATABASE).what


def test_a_server_short_of_connections(own_database: Ward) -> None:
    own_database.monkeypatch.setenv("OUTBOX_CONCURRENCY", "64")
    own_database.cures("connections-short")


def test_a_standby_is_told_from_a_read_only_database(own_database: Ward, postgres: Cluster) -> None:
    with postgres.standby() as standby:
        name = own_database.url.rpartition("/")[2]
        own_database.monkeypatch.setenv("DATABASE_URL", named(standby.url, name))
        assert "standby" in own_database.one("database-read-only", End.DATABASE).what
        assert not own_database.examine(End.DATABASE).unreachable


def test_a_database_of_any_bytes(ward: Ward, postgres: Cluster) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")
    url = named(postgres.url, "ascii")
    db = Database(url)
    upgrade(db, None)
    db.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(r"""INSERT INTO search_index (entity_type, entity_id, event_version)
            SELECT convert_from('\xff', 'SQL_ASCII'), gen_random_uuid(), 1""")
    ward.monkeypatch.setenv("DATABASE_URL", url)
    report = ward.examine()
    assert [finding.id for finding in report.findings] == ["encoding-sql-ascii"]
    assert not report.unreachable


def test_a_database_of_another_encoding(ward: Ward, postgres: Cluster) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    url = named(postgres.url, "latin")
    db = Database(url)
    upgrade(db, None)
    db.close()
    ward.monkeypatch.setenv("DATABASE_URL", url)
    (found,) = ward.examine().findings
    assert found.id == "other-encoding"
    assert "LATIN1" in found.what
