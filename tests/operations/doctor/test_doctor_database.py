"""The database: each finding is brought about in a real one, and ends with what is said to mend it."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from operations.doctor.ward import Ward
from outboxctl.core.database import Database
from outboxctl.core.inspect import rights as inspected
from outboxctl.core.inspect.tables import INDEXES, Tables
from outboxctl.core.schema.roles import Role, roles_sql
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import NotPermittedError
from outboxctl.operations.doctor.database_rules import behind
from outboxctl.operations.doctor.model import End, Finding, FindingSeverity
from outboxctl.settings import load

EVENTS = "search_outbox_events"
# Each is brought about by statements; {} is the database's name.
ILLS = {
    "isolation-level": "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
    "database-read-only": "ALTER DATABASE {} SET default_transaction_read_only = on",
    "db-index-missing": f"""UPDATE pg_index SET indisvalid = false
        WHERE indexrelid = 'ix_{EVENTS}_next'::regclass""",
    "source-not-unique": "ALTER TABLE search_index DROP CONSTRAINT uq_search_index_entity",
}
HEARTBEAT = """
INSERT INTO outbox_workers (id, worker_id, host, pid, version, started_at, heartbeat_at, in_flight,
    outage_policy, circuit_open)
VALUES (gen_random_uuid(), 'w', 'h', 1, '1', now(), now(), 0, 'hold', false)
"""
HARMFUL = {
    "key": f'CREATE INDEX "Odd one" ON {EVENTS} (updated_at)',
    "expression": f"CREATE INDEX odd ON {EVENTS} ((attempts + 1))",
    "constraint": f"ALTER TABLE {EVENTS} ADD CONSTRAINT odd UNIQUE (id, lease_until)",
}
PARTITIONED = f"""
CREATE TABLE {EVENTS} (id uuid NOT NULL, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE {EVENTS}_rest PARTITION OF {EVENTS} DEFAULT
"""


def test_a_migrated_database_is_healthy(ward: Ward) -> None:
    report = ward.examine(End.DATABASE)
    assert report.findings == []
    assert len(report.examined) == 6


@pytest.mark.parametrize("id_", ILLS)
def test_an_ill_is_found_and_mended(ward: Ward, sql: psycopg.Connection, id_: str) -> None:
    sql.execute(ILLS[id_].format(sql.info.dbname))
    ward.cures(id_, End.DATABASE)
    assert ward.ids(End.DATABASE) == []


def test_a_schema_of_an_older_release_is_upgraded() -> None:
    older = Tables("1", "2", known=True, missing=[], outbox=[], source=[], partitioned=False)
    (finding,) = behind.findings(End.DATABASE, older, load())
    assert (finding.id, finding.mend) == ("schema-behind", "outboxctl db upgrade")


def test_each_index_of_the_migrations_is_missed(ward: Ward, sql: psycopg.Connection) -> None:
    definitions = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY (%s) ORDER BY 1"
    names = list(INDEXES)
    before = sql.execute(definitions, [names]).fetchall()
    sql.execute(f"DROP INDEX {', '.join(names)}")
    findings = ward.examine(End.DATABASE).findings
    assert [each.id for each in findings] == ["db-index-missing"] * len(names)
    for each in findings:
        ward.do(each.mend)
    assert sql.execute(definitions, [names]).fetchall() == before


@pytest.mark.parametrize("kind", HARMFUL)
def test_an_index_on_what_deliveries_change_is_harmful(
    ward: Ward, sql: psycopg.Connection, kind: str
) -> None:
    sql.execute(HARMFUL[kind])
    ward.cures("db-index-harmful", End.DATABASE)


def test_other_indexes_and_triggers_are_the_users_business(ward: Ward, sql: psycopg.Connection) -> None:
    sql.execute(f"CREATE INDEX theirs ON {EVENTS} (entity_type, entity_id)")
    sql.execute(f"""CREATE TRIGGER theirs BEFORE INSERT ON {EVENTS}
        FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""")
    assert ward.ids(End.DATABASE) == []


def test_a_partitioned_outbox_is_examined_part_by_part(ward: Ward, empty_url: str) -> None:
    ward = Ward(ward.monkeypatch, empty_url)
    ward.monkeypatch.setenv("DATABASE_URL", empty_url)
    ward.do(PARTITIONED)
    ward.do("outboxctl db upgrade")
    assert ward.ids(End.DATABASE) == []
    ward.do(f"DROP INDEX ix_{EVENTS}_next; CREATE INDEX odd ON {EVENTS} (status)")
    ward.cures("db-index-missing", End.DATABASE)
    ward.cures("db-index-harmful", End.DATABASE)
    assert ward.ids(End.DATABASE) == []


def test_an_empty_database_lacks_the_schema_and_nothing_else(ward: Ward, empty_url: str) -> None:
    ward.monkeypatch.setenv("DATABASE_URL", empty_url)
    assert ward.ids(End.DATABASE) == ["schema-missing"]
    ward.cures("schema-missing", End.DATABASE)
    assert ward.ids(End.DATABASE) == []


def test_a_table_that_is_gone_and_a_newer_schema_are_told_apart(ward: Ward, sql: psycopg.Connection) -> None:
    sql.execute("DROP TABLE outbox_rebuilds")
    assert "outbox_rebuilds" in ward.one("table-missing", End.DATABASE).what
    sql.execute("UPDATE outboxctl_alembic_version SET version_num = '9999'")
    assert "9999" in ward.one("schema-unknown", End.DATABASE).what
    assert ward.ids(End.DATABASE) == ["schema-unknown"]


@pytest.mark.slow(reason="a dozen whole examinations")
def test_the_marker_is_compared_with_the_setting(ward: Ward) -> None:
    ward.monkeypatch.setenv("OUTBOX_ENV", "test")
    ward.do("outboxctl db upgrade")
    ward.monkeypatch.setenv("OUTBOX_ENV", "prod")
    assert ward.cures("environment-contradicted", End.DATABASE).severity is FindingSeverity.ERROR


@pytest.fixture
def role(ward: Ward, sql: psycopg.Connection) -> Iterator[str]:
    """A role that may log in, and nothing else; the patient connects as it."""
    name = f"r{uuid.uuid4().hex[:12]}"
    sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
    parts = urlsplit(ward.url)
    netloc = f"{name}:p@{parts.netloc.rpartition('@')[2]}"
    ward.monkeypatch.setenv("DATABASE_URL", urlunsplit(parts._replace(netloc=netloc)))
    yield name
    sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def groups(sql: psycopg.Connection, role: str) -> Iterator[str]:
    """The prefix of this test's own three groups."""
    prefix = f"{role}_"
    sql.execute(roles_sql(prefix, "public").encode())
    yield prefix
    for each in Role:
        sql.execute(f"DROP OWNED BY {prefix}{each}; DROP ROLE {prefix}{each}")


def rights(ward: Ward) -> dict[str, Finding]:
    """What is found of this role's rights."""
    return {each.id: each for each in ward.examine(End.DATABASE).findings if each.id.startswith("rights-")}


def test_missing_rights_are_named_and_granted(ward: Ward, role: str, groups: str) -> None:
    found = [each for each in ward.examine(End.DATABASE).findings if each.id.startswith("rights-")]
    assert [each.id for each in found] == ["rights-read"], "one membership, not a GRANT for each table"
    assert role in found[0].what
    assert found[0].mend.startswith(f"GRANT outbox_worker TO {role};  -- outbox_viewer, ")
    ward.do(found[0].mend.replace("outbox_worker", f"{groups}viewer"))
    for id_ in ("rights-no-worker", "rights-operator"):
        ward.do(rights(ward)[id_].mend.replace("outbox_", groups))
        assert id_ not in rights(ward)
    assert ward.ids(End.DATABASE) == []


def test_half_a_worker_is_warned(ward: Ward, role: str, groups: str) -> None:
    ward.do(f"GRANT {groups}viewer TO {role}; GRANT UPDATE (status) ON {EVENTS} TO {role}")
    found = rights(ward)["rights-worker"]
    assert found.severity is FindingSeverity.WARNING
    assert "INSERT on outbox_workers" in found.what
    ward.do(found.mend.replace("outbox_", groups))
    assert set(rights(ward)) == {"rights-operator"}


def test_what_the_group_lacks_is_granted_to_the_group(
    ward: Ward, role: str, groups: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspected, "PREFIX", groups)
    ward.do(f"GRANT {groups}worker TO {role}; REVOKE UPDATE ON {EVENTS} FROM {groups}worker")
    ward.do(f"GRANT UPDATE (status) ON {EVENTS} TO {groups}worker")
    mend = rights(ward)["rights-worker"].mend
    assert mend.startswith("outboxctl roles --sql | psql"), "the role is a member already"
    own = Database(load().require_database_url(), connections=1)
    with closing(own), own.begin() as connection, pytest.raises(NotPermittedError) as caught:
        inspected.require_worker(connection, own.name)
    assert caught.value.hint == mend, "a worker says the same where it ends"


def test_an_operator_sees_what_a_workers_login_lacks(
    ward: Ward, role: str, groups: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspected, "PREFIX", groups)
    ward.do(f"GRANT {groups}worker TO {role}")
    with psycopg.connect(load().require_database_url()) as worker:
        worker.execute(HEARTBEAT)
    monkeypatch.setenv("DATABASE_URL", ward.url)
    assert rights(ward) == {}
    ward.do(f"REVOKE INSERT ON {EVENTS} FROM {groups}worker")
    found = rights(ward)["rights-of-workers"]
    assert found.what.startswith(f"The role {role} lacks INSERT (")
    assert found.mend.startswith("outboxctl roles --sql | psql")
    ward.do("UPDATE outbox_workers SET heartbeat_at = now() - interval '25 hours'")
    assert rights(ward) == {}, "it has logged in within a day no more"


def test_a_member_that_does_not_inherit_is_told_how_it_inherits(
    ward: Ward, role: str, groups: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspected, "PREFIX", groups)
    ward.do(f"ALTER ROLE {role} NOINHERIT; GRANT {groups}worker TO {role}")
    mend = rights(ward)["rights-read"].mend
    own = Database(load().require_database_url(), connections=1)
    with closing(own), own.begin() as connection, pytest.raises(NotPermittedError) as caught:
        inspected.require_worker(connection, own.name)
    assert caught.value.hint == mend, "a worker says the same where it ends"
    ward.do(mend.replace("outbox_", groups))
    assert set(rights(ward)) == {"rights-operator"}


def test_the_producers_group_is_not_one_that_reads(
    ward: Ward, role: str, groups: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspected, "PREFIX", groups)
    ward.do(f"GRANT {groups}producer TO {role}")
    assert rights(ward)["rights-read"].mend.startswith(f"GRANT outbox_worker TO {role};")


@pytest.mark.parametrize("who", [Role.VIEWER, Role.OPERATOR])
def test_who_looks_or_mends_is_not_told_to_become_a_worker(
    ward: Ward, role: str, groups: str, who: Role
) -> None:
    ward.do(f"GRANT {groups}{who} TO {role}")
    found = rights(ward)
    assert {each.severity for each in found.values()} == {FindingSeverity.INFO}
    assert all(each.mend.startswith("GRANT outbox_") for each in found.values()), "never single rights"


@pytest.mark.usefixtures("role")
def test_what_a_role_may_not_see_is_said_and_the_rest_examined(ward: Ward) -> None:
    report = ward.examine(End.DATABASE)
    unseen = [finding for finding in report.findings if finding.id == "not-examined"]
    assert {finding.severity for finding in unseen} == {FindingSeverity.INFO}
    assert any("outbox_environment" in finding.what for finding in unseen)
    assert "database: server" in report.examined
    assert not report.unreachable


def test_a_setting_of_the_role_is_mended_where_it_wins(
    ward: Ward, sql: psycopg.Connection, role: str
) -> None:
    sql.execute(f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'")
    ward.cures("isolation-level", End.DATABASE)


def test_names_that_would_move_the_cursor_are_shown_escaped(ward: Ward, sql: psycopg.Connection) -> None:
    sql.execute(f'CREATE INDEX "\x1b[31m[/nope]" ON {EVENTS} (status)')
    found = ward.one("db-index-harmful", End.DATABASE)
    assert r"\x1b[31m[/nope]" in found.what
    assert "\x1b" not in found.what + found.mend


def test_no_question_can_write(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO public.outbox_environment (environment) VALUES ('test')")

    monkeypatch.setattr("outboxctl.operations.doctor.examination.marker.read", writing)
    assert "read-only transaction" in ward.one("not-examined", End.DATABASE).what


def test_a_table_that_somebody_has_locked_is_not_waited_for(ward: Ward) -> None:
    with psycopg.connect(ward.url) as other:
        other.execute("LOCK TABLE search_outbox_events, search_index")
        started = monotonic()
        report = ward.examine(End.DATABASE)
        assert monotonic() - started < 5
    assert report.findings == []


def test_a_standby_is_told_from_a_read_only_database(ward: Ward, sql: psycopg.Connection) -> None:
    sql.execute("SET allow_system_table_mods = on")
    sql.execute(  # the planner inlines it: the executor would take the built-in one
        "CREATE OR REPLACE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS boolean LANGUAGE sql VOLATILE"
        " AS 'SELECT true'"
    )
    assert "standby" in ward.one("database-read-only", End.DATABASE).what
    assert not ward.examine(End.DATABASE).unreachable


def test_tls_that_is_wanted_and_not_to_be_had(ward: Ward) -> None:
    ward.monkeypatch.setenv("DATABASE_URL", f"{ward.url}?sslmode=require&sslrootcert=/no/such.pem")
    assert "/no/such.pem" in ward.one("database-unusable", End.DATABASE).what
    ward.monkeypatch.setenv("DATABASE_URL", f"{ward.url}?sslmode=require")
    assert "does not support SSL" in ward.one("database-tls", End.DATABASE).what
    assert ward.examine(End.DATABASE).unreachable
