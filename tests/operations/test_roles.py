"""The roles of `outboxctl roles --sql`, each acted as: what they need works, all else is denied."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg.sql import SQL, Identifier

import shop
from outboxctl.core.database import Database
from outboxctl.core.schema.names import ALL_TABLES, VERSION
from outboxctl.core.schema.roles import RIGHTS, Right, Role, roles_sql
from outboxctl.core.stats import workers
from outboxctl.core.stats.workers import HeartbeatRow
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow, Relation
from processes import Cli
from security.as_roles import Roles, at

WHO = ("--by", "alice", "--reason", "why")
BEHIND = "DELETE FROM outboxctl_alembic_version"
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
FORGED = """INSERT INTO outbox_workers SELECT gen_random_uuid(), worker_id, host, pid, version, started_at,
    heartbeat_at, in_flight, outage_policy, circuit_open, 1, 1, now(), %s FROM outbox_workers"""
Login = Callable[[Role | None], str]
Ask = Callable[[Role], Cli]


@pytest.fixture
def made(sql: psycopg.Connection, url: str) -> Iterator[Roles]:
    """Roles of this test's own, with a name that needs care; none is made yet."""
    roles = Roles(sql, url, f"t%{uuid.uuid4().hex[:8]}$roles$'\"; --_")
    yield roles
    roles.drop()


@pytest.fixture
def prefix(made: Roles) -> str:
    """How their names begin."""
    return made.prefix


@pytest.fixture
def login(sql: psycopg.Connection, made: Roles, cli: Cli) -> Login:
    """The URL of a person or program in this role; of one in none for None."""
    sql.execute(cli.ok("roles", "--sql", "--prefix", made.prefix).encode())
    return lambda role: made.login(f"{role or 'nobody'}_1", role)


@pytest.fixture
def acting_as(env: dict[str, str], tmp_path: Path, login: Login) -> Ask:
    """The command line of somebody in a role."""
    return lambda role: Cli(env | {"DATABASE_URL": login(role)}, tmp_path)


@pytest.fixture
def _rows(sql: psycopg.Connection) -> None:
    sql.execute(
        "INSERT INTO search_outbox_events"
        " (id, entity_type, entity_id, op, event_version, status, processed_at)"
        " SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, s, p::timestamptz FROM (VALUES"
        " ('pending', NULL), ('failed', NULL), ('failed', NULL), ('failed', NULL), ('done', '2020-01-01'))"
        " v (s, p)"
    )


def _denied(cli: Cli, *args: str) -> None:
    done = cli(*args)
    assert (done.returncode, done.stdout) == (2, ""), (args, done.stderr)
    assert "not permitted in" in done.stderr
    assert any(f"permission denied for table {table}" in done.stderr for table in ALL_TABLES), done.stderr


def _granted(sql: psycopg.Connection, name: str, table: str) -> set[tuple[str, str]]:
    """(verb, column) of everything that a role may do to a table."""
    query = """SELECT v, attname FROM pg_attribute, unnest(%s::text[]) v
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND CASE
            WHEN v IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege(%s, attrelid, v)
            ELSE has_column_privilege(%s, attrelid, attnum, v) END"""
    return set(sql.execute(query, [list(VERBS), table, name, name]).fetchall())


def _wanted(sql: psycopg.Connection, role: Role, table: str) -> set[tuple[str, str]]:
    query = (
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    )
    columns = tuple(row[0] for row in sql.execute(query, [table]).fetchall())

    def expanded(right: Right) -> set[tuple[str, str]]:
        return {(verb, column) for verb in right.verbs.split(", ") for column in right.columns or columns}

    mine = [right for right in RIGHTS if (right.role, right.table) == (role, table)]
    return set().union(*map(expanded, mine))


@pytest.mark.usefixtures("login")
def test_each_role_has_its_rights_and_no_other_and_a_second_run_mends_them(
    sql: psycopg.Connection, prefix: str
) -> None:
    sql.execute("GRANT ALL ON outbox_operator_audit TO PUBLIC")
    for role in Role:
        sql.execute(SQL("GRANT ALL ON search_outbox_events TO {}").format(Identifier(prefix + role)))
    sql.execute(roles_sql(prefix, "public").encode())
    for role in Role:
        for table in ALL_TABLES:
            assert _granted(sql, prefix + role, table) == _wanted(sql, role, table), (role, table)
    logins = "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, %s) AND (rolcanlogin OR rolsuper)"
    assert sql.execute(logins, [prefix]).fetchall() == [(0,)]


@pytest.mark.usefixtures("_rows")
def test_a_viewer_sees_everything_and_changes_nothing(acting_as: Ask, sql: psycopg.Connection) -> None:
    viewer = acting_as(Role.VIEWER)
    assert viewer.json("status")["status"]["failed"] == 3
    for command in ("stuck", "audit", "failed list", "db check"):
        viewer.json(*command.split())
    event = sql.execute("SELECT id::text FROM search_outbox_events WHERE status = 'failed'").fetchall()[0][0]
    viewer.json("failed", "show", event)
    assert viewer.json("replay", *WHO, "--dry-run")["matched"] == 3
    assert viewer.json("prune", "--older-than", "1d", "--dry-run")["matched"] == 1
    before = sql.execute("SELECT xmin, xmax, * FROM search_outbox_events ORDER BY id").fetchall()
    _denied(viewer, "replay", *WHO)
    _denied(viewer, "failed", "discard", *WHO, "--limit", "1")
    _denied(viewer, "prune", "--older-than", "1d")
    _denied(viewer, "inject", "event")
    assert sql.execute("SELECT xmin, xmax, * FROM search_outbox_events ORDER BY id").fetchall() == before


@pytest.mark.usefixtures("_rows")
def test_an_operator_mends_and_cannot_write_history_again(acting_as: Ask, sql: psycopg.Connection) -> None:
    operator = acting_as(Role.OPERATOR)
    assert operator.json("failed", "discard", *WHO, "--limit", "1")["discarded"] == 1
    replayed = operator.json("replay", *WHO, "--limit", "1")
    assert replayed["replayed"] == 1
    operator.ok("audit", "--id", replayed["audit_id"])
    operator.ok("failed", "undo", replayed["audit_id"], *WHO)
    assert operator.json("prune", "--older-than", "1d")["pruned"] == 1
    assert operator.json("inject", "event")["inserted"] == 1
    assert operator.json("inject", "bad-op")["inserted"] == 1
    assert {row["action"] for row in operator.json("audit")["audit"]} == {
        "discard",
        "replay",
        "undo",
        "prune",
    }
    by = sql.execute("SELECT logged_in_as FROM outbox_operator_audit WHERE action = 'prune'").fetchall()
    assert by[0][0].endswith("operator_1"), "the database's word for who it was"
    _denied(operator, "inject", "load", "--count", "1", "--concurrency", "1")
    with psycopg.connect(operator.env["DATABASE_URL"], autocommit=True) as own:
        for statement in (
            "UPDATE outbox_operator_audit SET reason = 'another'",
            "DELETE FROM outbox_operator_audit",
            "TRUNCATE outbox_operator_audit",
            "DROP TABLE outbox_operator_audit",
            "UPDATE search_outbox_events SET event_version = 9",
            "UPDATE search_outbox_events SET created_at = now()",
            "TRUNCATE search_outbox_events",
            "DELETE FROM search_index",
            "UPDATE search_index SET text = ''",
            "UPDATE outbox_environment SET environment = 'dev'",
            "INSERT INTO outbox_environment (environment) VALUES ('dev')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(statement.encode())


@pytest.mark.parametrize("role", [Role.WORKER, Role.OPERATOR, Role.VIEWER])
def test_the_doctor_agrees_that_nothing_is_lacking(acting_as: Ask, role: Role) -> None:
    done = acting_as(role)("doctor", "--only", "database", "--json")
    lacking = {each["id"] for each in json.loads(done.stdout)["findings"]}
    needed = {Role.WORKER: "rights-worker", Role.OPERATOR: "rights-operator", Role.VIEWER: "rights-read"}
    assert not {"rights-read", needed[role]} & lacking


def test_a_worker_delivers_and_can_neither_write_events_nor_the_audit(
    acting_as: Ask, sql: psycopg.Connection, cli: Cli
) -> None:
    cli.ok("inject", "load", "--count", "5", "--rate", "0")
    cli.ok("inject", "bad-op")
    worker = acting_as(Role.WORKER)
    sql.execute("UPDATE search_outbox_events SET status = 'processing', attempts = 1 WHERE op = 'upsert'")
    worker.ok("worker", "--drain")
    ended = sql.execute("SELECT status, count(*) FROM search_outbox_events GROUP BY 1 ORDER BY 1").fetchall()
    assert ended == [("done", 5), ("failed", 1)]
    _denied(worker, "replay", *WHO)
    _denied(worker, "inject", "event")
    _denied(worker, "prune", "--older-than", "1s")
    _denied(worker, "audit")


def test_a_worker_needs_no_right_to_the_applications_own_columns(
    acting_as: Ask, sql: psycopg.Connection, cli: Cli, prefix: str
) -> None:
    worker, group = acting_as(Role.WORKER), Identifier(f"{prefix}worker")
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'search_index'::regclass AND attnum > 0"
    ours = SQL(", ").join(Identifier(name) for (name,) in sql.execute(columns).fetchall())
    sql.execute("ALTER TABLE search_index ADD COLUMN secret text")
    sql.execute(SQL("REVOKE SELECT ON search_index FROM {}").format(group))
    sql.execute(SQL("GRANT SELECT ({}) ON search_index TO {}").format(ours, group))
    cli.ok("inject", "load", "--count", "5", "--rate", "0")
    worker.ok("worker", "--drain")
    assert sql.execute("SELECT DISTINCT status FROM search_outbox_events").fetchall() == [("done",)]
    sql.execute(SQL("REVOKE SELECT (rank_score) ON search_index FROM {}").format(group))
    assert "lacks SELECT on search_index" in worker("worker", "--drain").stderr


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER, Role.PRODUCER])
def test_a_worker_with_the_login_of_another_ends_before_it_claims_events(
    acting_as: Ask, sql: psycopg.Connection, role: Role
) -> None:
    done = acting_as(role)("worker", "--drain")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    if role is not Role.PRODUCER:  # who may not even read the schema's revision
        assert "no worker can deliver as this login" in done.stderr
        assert "GRANT outbox_worker TO" in done.stderr
    assert sql.execute("SELECT count(*) FROM search_outbox_events WHERE attempts > 0").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM search_outbox_events WHERE status = 'pending'").fetchone() == (
        1,
    )


def _beats(url: str, id_: str) -> None:
    database = Database(url, connections=1)
    own = HeartbeatRow(id_, "w", "h", 1, "1", 0.0, 0, "count", circuit_open=False, completed=0)
    with closing(database), database.begin() as connection:
        workers.write_heartbeat(connection, own, None)


def test_a_worker_writes_no_row_of_another_login(login: Login, sql: psycopg.Connection, prefix: str) -> None:
    url, name = login(Role.WORKER), f"{prefix}worker_2"
    create = SQL("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE {}")
    sql.execute(create.format(Identifier(name), Identifier(f"{prefix}worker")))
    mine, theirs = str(uuid.uuid4()), str(uuid.uuid4())
    for _ in range(2):
        _beats(url, mine)
        _beats(at(url, name), theirs)
    before = sql.execute("SELECT * FROM outbox_workers ORDER BY id").fetchall()
    with psycopg.connect(url, autocommit=True) as own:
        for statement in (
            "DELETE FROM outbox_workers WHERE id = %s",
            "UPDATE outbox_workers SET heartbeat_at = '-infinity' WHERE id = %s",
            "UPDATE outbox_workers SET in_flight = 0 WHERE id = %s",
            "UPDATE outbox_workers SET host = 'elsewhere' WHERE id = %s",
            "UPDATE outbox_workers SET login = session_user WHERE id = %s",
            "INSERT INTO outbox_workers TABLE outbox_workers ON CONFLICT (id) DO UPDATE SET in_flight = 7",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(statement.encode(), [theirs] if "%s" in statement else None)
        own.execute("DELETE FROM outbox_workers WHERE id = %s", [mine])
        own.execute(FORGED.encode(), [name])
    whose = sql.execute("SELECT login, id::text = %s FROM outbox_workers ORDER BY 2", [theirs]).fetchall()
    assert whose == [(f"{prefix}worker_1", False), (name, True)]
    assert [row for row in before if str(row[0]) == theirs] == sql.execute(
        "SELECT * FROM outbox_workers WHERE id = %s", [theirs]
    ).fetchall()


def test_a_worker_buries_the_rows_of_the_dead_whoever_they_were(
    login: Login, sql: psycopg.Connection, url: str
) -> None:
    dead, before = str(uuid.uuid4()), str(uuid.uuid4())
    for id_ in (dead, before):
        _beats(url, id_)
    sql.execute("ALTER TABLE outbox_workers DISABLE TRIGGER USER")
    sql.execute("UPDATE outbox_workers SET login = NULL WHERE id = %s", [before])
    sql.execute("UPDATE outbox_workers SET heartbeat_at = now() - interval '2 days' WHERE id = %s", [dead])
    sql.execute("ALTER TABLE outbox_workers ENABLE TRIGGER USER")
    worker = login(Role.WORKER)
    _beats(worker, before)  # it ran before the migration, and goes on
    left = sql.execute("SELECT id::text, login FROM outbox_workers").fetchall()
    assert left == [(before, psycopg.conninfo.conninfo_to_dict(worker)["user"])]


def test_who_is_in_no_role_is_kept_out_and_told_so(
    login: Login, cli: Cli, sql: psycopg.Connection, prefix: str
) -> None:
    sql.execute(f"GRANT ALL ON search_outbox_events, outbox_environment, outbox_workers, {VERSION} TO PUBLIC")
    url = login(None)
    cli.ok("status", env={"DATABASE_URL": url})
    sql.execute(roles_sql(prefix, "public").encode())
    _denied(Cli(cli.env | {"DATABASE_URL": url}, cli.cwd), "status")
    with psycopg.connect(url) as own, pytest.raises(psycopg.errors.InsufficientPrivilege):
        own.execute("SELECT FROM search_outbox_events")


def test_tables_in_another_schema(
    cli: Cli, empty_url: str, sql: psycopg.Connection, prefix: str, env: dict[str, str], tmp_path: Path
) -> None:
    there = f"{empty_url}?options={quote('-csearch_path=app')}"
    with psycopg.connect(empty_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA app")
        cli.ok("db", "upgrade", env={"DATABASE_URL": there})
        owner.execute(cli.ok("roles", "--sql", "--prefix", prefix, "--schema", "app").encode())
        user = f"{prefix}viewer_1"
        member = SQL("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE {}")
        sql.execute(member.format(Identifier(user), Identifier(f"{prefix}viewer")))
        url = at(empty_url, user, options="-csearch_path=app")
        assert Cli(env | {"DATABASE_URL": url}, tmp_path).json("status")["lag"] == 0
        for (name,) in sql.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [prefix]
        ).fetchall():
            owner.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))


def test_who_may_not_migrate_is_told_who_may(acting_as: Ask, cli: Cli, sql: psycopg.Connection) -> None:
    worker = acting_as(Role.WORKER)
    sql.execute(BEHIND)
    done = [worker("db", "upgrade")]
    cli.ok("db", "upgrade")
    done += [worker("db", "notify", "on"), worker("db", "mark", "test", "--by", "me", "--reason", "why")]
    for each in done:
        assert each.returncode == 2, each.stderr
        assert "log in as the owner of the tables" in each.stderr, each.args


def test_the_owner_of_the_tables_runs_it_again_without_the_right_to_make_roles(
    login: Login, sql: psycopg.Connection, prefix: str, url: str
) -> None:
    """A superuser makes the groups once; each upgrade after that is the owner's alone."""
    login(None)
    owner = Identifier(f"{prefix}nobody_1")
    tables = SQL(", ").join(map(Identifier, ALL_TABLES))
    mine = sql.execute("SELECT current_user").fetchone()
    assert mine
    for table in ALL_TABLES:
        sql.execute(SQL("ALTER TABLE {} OWNER TO {}").format(Identifier(table), owner))
    try:
        sql.execute(SQL("REVOKE ALL ON {} FROM {}").format(tables, Identifier(f"{prefix}worker")))
        with psycopg.connect(at(url, f"{prefix}nobody_1"), autocommit=True) as own:
            own.execute(roles_sql(prefix, "public").encode())
        worker = Role.WORKER
        for table in ALL_TABLES:
            assert _granted(sql, prefix + worker, table) == _wanted(sql, worker, table), table
    finally:
        for table in ALL_TABLES:
            sql.execute(SQL("ALTER TABLE {} OWNER TO {}").format(Identifier(table), Identifier(*mine)))


@pytest.mark.no_servers
@pytest.mark.parametrize("prefix", ["pg_", "x" * 60, "\u4e2d" * 20])
def test_a_name_that_postgresql_would_cut_or_keep_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError):
        roles_sql(prefix, "public")


CATEGORIES = Follow(
    Relation("shop", "categories"),
    keys="SELECT p.id FROM shop.products p WHERE p.category_id = :id AND 1 / (:id - 2) IS NOT NULL",
    parameters=("id",),
    types=("pg_catalog.int4",),
)


def test_a_worker_ends_what_stands_for_many_documents(
    acting_as: Ask, db: Database, sql: psycopg.Connection, prefix: str, index: str, engine: Elasticsearch
) -> None:
    """A row that raises fails alone, and of a query that is not in force every document is read again."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots')")
    sql.execute("INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, 3) n")
    granted = "GRANT USAGE ON SCHEMA shop TO {0}; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {0}"
    sql.execute(SQL(granted).format(Identifier(f"{prefix}worker")))
    shop.put_in_force(db, shop.product(index, follow=(CATEGORIES,)))
    waiting = "UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow IS NOT NULL"
    shop.changed(sql, '{"id": ["1", "2"]}', follow=0)
    sql.execute(waiting)
    worker = acting_as(Role.WORKER)
    worker.ok("worker", "--drain")
    assert shop.held(engine, index).keys() == {"1", "2", "3"}
    failed = "SELECT entity_key, error_reason FROM search_outbox_events WHERE status <> 'done'"
    assert sql.execute(failed).fetchall() == [('{"id": "2"}', "bad_document")]
    shop.changed(sql, '{"gone": "1"}', follow=0)
    sql.execute(waiting)
    worker.ok("worker", "--drain")
    everything = "SELECT status FROM search_outbox_events WHERE follow = -1"
    assert sql.execute(everything).fetchall() == [("done",)]
