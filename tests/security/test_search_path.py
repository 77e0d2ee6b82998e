"""Who may create objects in a schema that we search becomes neither worker, operator, owner nor superuser."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from fakes.postgres_proxy import postgres_proxy
from outboxctl.core.database import Database
from outboxctl.core.schema.roles import Role
from processes import Cli
from security import traps
from security.as_roles import roles

pytestmark = pytest.mark.slow(reason="each command once more, on a hostile search_path")

WHO = ("--by", "alice", "--reason", "why")


@dataclass(frozen=True)
class Town:
    """A database whose `public` everybody may create objects in, and the roles of the three groups."""

    url: str
    admin: psycopg.Connection
    prefix: str
    cli: Cli
    attacker: str  # the URL of a login in no group
    urls: dict[Role, str]

    def login(self, role: Role) -> Cli:
        """The command line of somebody in this group."""
        return Cli(self.cli.env | {"DATABASE_URL": self.urls[role]}, self.cli.cwd)

    def loot(self) -> list[tuple[str, str]]:
        """Who ran what of the attacker's."""
        return self.admin.execute("SELECT DISTINCT who, what FROM public.loot").fetchall()


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection]:
    """A superuser who looks for nothing in `public` by himself."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        yield connection


@pytest.fixture
def town(url: str, admin: psycopg.Connection, cli: Cli) -> Iterator[Town]:
    with roles(admin, url) as made:
        admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        urls = {role: made.login(f"{role}_1", role) for role in Role}
        yield Town(url, admin, made.prefix, cli, made.login("mallory"), urls)


@pytest.fixture
def trapped(town: Town) -> Town:
    """The attacker's operators and functions are there."""
    town.cli.ok("inject", "load", "--count", "5", "--rate", "0")
    town.cli.ok("inject", "bad-op", "--count", "3")
    traps.lay(town.url, f"{town.prefix}mallory")
    return town


def test_the_traps_catch_who_searches_public(trapped: Town) -> None:
    with psycopg.connect(trapped.urls[Role.WORKER]) as worker:
        worker.execute("SELECT entity_type::text || entity_id FROM search_index")
        worker.execute("SELECT make_interval(secs => 1::int8)")
    caught = {what for _, what in trapped.loot()}
    assert "text||uuid" in caught


@pytest.mark.slow(reason="runs every command")
@pytest.mark.real_engine
def test_no_command_runs_what_an_attacker_made(trapped: Town) -> None:
    worker, operator, viewer = (trapped.login(role) for role in (Role.WORKER, Role.OPERATOR, Role.VIEWER))
    worker.ok("worker", "--drain")
    _read(viewer)
    failed = "SELECT id::text FROM public.search_outbox_events WHERE status = 'failed' LIMIT 1"
    for row in trapped.admin.execute(failed):
        viewer.ok("failed", "show", row[0])
    assert viewer("verify").returncode in (0, 4)
    replayed = operator.json("replay", *WHO, "--limit", "1")
    operator.ok("failed", "undo", replayed["audit_id"], *WHO)
    operator.ok("failed", "discard", *WHO, "--limit", "1")
    operator.ok("inject", "event")
    operator.ok("inject", "bad-op")
    assert operator("verify", "--repair", *WHO).returncode in (0, 4)
    worker.ok("worker", "--drain")
    operator.ok("prune", "--older-than", "1s")
    operator.ok("rebuild", *WHO, "--yes")
    kinds = [f"inject event --kind {kind}" for kind in ("duplicate", "poison", "stale")]
    for command in (*kinds, "db notify on", "db notify status"):
        trapped.cli.ok(*command.split())
    trapped.cli.ok("inject", "load", "--count", "3", "--rate", "0")
    trapped.cli.ok("db", "mark", "test", *WHO)
    trapped.cli.ok("worker", "--drain", env={"OUTBOX_ENV": "test"})
    assert trapped.loot() == []


def _read(viewer: Cli) -> None:
    for command in ("status", "stuck", "oldest", "audit", "failed list", "report", "check --json", "doctor"):
        done = viewer(*command.split())
        assert done.returncode in (0, 4), (command, done.stderr)


def test_no_migration_of_a_superuser_runs_what_an_attacker_made(empty_url: str, town: Town) -> None:
    mallory = f"{town.prefix}mallory"
    there = {"DATABASE_URL": empty_url}
    with psycopg.connect(empty_url, autocommit=True) as other:
        other.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        traps.lay(empty_url, mallory)
        town.cli.ok("db", "upgrade", env=there)
        assert other.execute("SELECT who, what FROM public.loot").fetchall() == []
        other.execute(SQL("DROP OWNED BY {} CASCADE").format(Identifier(mallory)))


ROW = (
    "INSERT INTO search_index (entity_type, entity_id, event_version) VALUES ('block', gen_random_uuid(), 1)"
)
TRIGGER = ("db", "trigger")


def test_a_temporary_table_of_the_outboxs_name_swallows_no_event(
    cli: Cli, sql: psycopg.Connection, url: str
) -> None:
    sql.execute(cli.ok(*TRIGGER).encode())
    with psycopg.connect(url) as session:
        session.execute("CREATE TEMP TABLE search_outbox_events (LIKE public.search_outbox_events)")
        session.execute(ROW)
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchall() == [(1,)]


def test_an_application_writes_under_any_search_path(cli: Cli, sql: psycopg.Connection, url: str) -> None:
    sql.execute(cli.ok(*TRIGGER).encode())
    cli.ok("db", "notify", "on")
    with psycopg.connect(url) as session:
        session.execute("SET search_path = pg_catalog")
        session.execute(ROW.replace("search_index", "public.search_index"))
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchall() == [(1,)]


@pytest.fixture
def theirs(town: Town) -> str:
    """The attacker's name: there are functions of the attacker's by the names that we give."""
    mallory = f"{town.prefix}mallory"
    with psycopg.connect(town.attacker, autocommit=True) as own:
        for name in ("search_index_outbox", "outbox_notify"):
            make = SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
            own.execute(make.format(Identifier(name)))
    return mallory


def triggers(town: Town) -> int:
    """How many triggers there are, beside those of the migrations."""
    return len(
        town.admin.execute(
            "SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgname NOT IN"
            " ('outbox_event_begins', 'outbox_audit_by_database', 'outbox_workers_own',"
            " 'outbox_version_base_rises')"
        ).fetchall()
    )


def test_a_trigger_function_that_somebody_else_owns_is_not_adopted(town: Town, theirs: str) -> None:
    made = town.cli.ok(*TRIGGER).encode()
    town.admin.execute("SET search_path = public")  # the table is looked for there
    with pytest.raises(psycopg.errors.RaiseException, match=theirs) as caught:
        town.admin.execute(made)
    assert "OWNER TO" in str(caught.value.diag.message_hint)
    assert triggers(town) == 0


@pytest.mark.parametrize(
    "kind", ["TABLE public.{} (environment text)", "VIEW public.{} AS SELECT 1 AS environment"]
)
def test_what_a_stranger_made_in_place_of_a_table_of_ours_is_refused(town: Town, kind: str) -> None:
    town.admin.execute("DROP TABLE public.outbox_environment")
    mallory = f"{town.prefix}mallory"
    with psycopg.connect(town.attacker, autocommit=True) as own:
        own.execute(f"CREATE {kind.format('outbox_environment')}".encode())
    for command in ("db upgrade", "status", "db current", "worker --drain"):
        done = town.cli(*command.split())
        assert done.returncode == 2, done.stderr
        assert f"belongs to the role {mallory}" in done.stderr


def test_a_superuser_does_not_migrate_tables_whose_owner_may_put_triggers_on_them(town: Town) -> None:
    mallory = f"{town.prefix}mallory"
    for table in ("search_outbox_events", "search_index", "outbox_environment"):
        town.admin.execute(f"ALTER TABLE public.{table} OWNER TO {mallory}".encode())
    done = town.cli("db", "upgrade")
    assert done.returncode == 2
    assert f"belongs to the role {mallory}" in done.stderr
    assert "log in as that role" in done.stderr


LOOSE = """
CREATE SCHEMA app; CREATE TABLE app.seen (id uuid);
GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT INSERT ON app.seen TO PUBLIC;
CREATE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER see BEFORE UPDATE ON public.search_outbox_events FOR EACH ROW EXECUTE FUNCTION app.see()
"""


def test_a_trigger_of_the_applications_finds_its_tables_where_nobody_else_may_create(trapped: Town) -> None:
    trapped.admin.execute(LOOSE.encode())
    name = Identifier(f"{trapped.prefix}worker_1")
    trapped.admin.execute(SQL("ALTER ROLE {} SET search_path = public, app").format(name))
    trapped.login(Role.WORKER).ok("worker", "--drain")
    assert trapped.admin.execute("SELECT count(*) >= 5 FROM app.seen").fetchall() == [(True,)]
    assert trapped.loot() == []


def test_a_trigger_that_needs_a_schema_open_to_others_is_named(trapped: Town) -> None:
    trapped.admin.execute(LOOSE.replace("app.seen", "public.seen").encode())
    done = trapped.login(Role.WORKER)("worker", "--drain")
    assert done.returncode == 2
    assert "see()" in done.stderr
    assert "SET search_path" in done.stderr
    trapped.admin.execute("ALTER FUNCTION app.see() SET search_path = pg_catalog, public, pg_temp")
    trapped.login(Role.WORKER).ok("worker", "--drain")


@pytest.mark.parametrize("schema", ["q\"uo'te%s{x}"])
def test_tables_in_schemas_of_any_name_each_in_its_own(cli: Cli, empty_url: str, schema: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as own:
        own.execute(SQL("CREATE SCHEMA {}; CREATE SCHEMA source").format(Identifier(schema)))
        path = SQL("ALTER DATABASE {} SET search_path = {}, source")
        own.execute(path.format(Identifier(empty_url.rpartition("/")[2]), Identifier(schema)))
        there = {"DATABASE_URL": empty_url}
        cli.ok("db", "upgrade", env=there)
        own.execute(SQL("ALTER TABLE {}.search_index SET SCHEMA source").format(Identifier(schema)))
        own.execute(SQL("SET search_path = {}, source").format(Identifier(schema)))
        own.execute(cli.ok(*TRIGGER, "--schema", schema).encode())
        cli.ok("inject", "load", "--count", "3", "--rate", "0", env=there)
        cli.ok("worker", "--drain", env=there)
        done = "SELECT count(*), count(*) FILTER (WHERE status = 'done') FROM search_outbox_events"
        assert own.execute(done).fetchall() == [(6, 6)]
        for command in ("db notify on", "db check", "status", "db upgrade"):
            cli.ok(*command.split(), env=there)


def test_the_search_path_is_pinned_in_the_message_that_a_transaction_begins_with(url: str) -> None:
    """A worker's transaction sets its limits anyway: no message a batch is added, the first included."""
    with postgres_proxy(url) as proxy, closing(Database(proxy.url, connections=1, longest=20)) as db:
        for _ in range(3):
            with db.begin() as connection:
                found = connection.exec_driver_sql("SHOW search_path").scalar()
                assert found == "pg_catalog, pg_temp"
                assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "18s"
        trips = [each.trips for each in proxy.transactions("SHOW search_path")]
    assert trips == [4, 4, 4], "one that opens it, two statements, COMMIT"
