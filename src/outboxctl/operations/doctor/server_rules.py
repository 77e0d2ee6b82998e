"""Rules for the PostgreSQL server, the marker of its database, a pooler before it, and NOTIFY."""

from collections.abc import Iterator
from dataclasses import dataclass

from outboxctl.core.inspect.server import ServerFacts
from outboxctl.core.schema.encoding import ANY_TEXT
from outboxctl.core.schema.notify import NotifyState
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import NotifyPolicy, Settings, variable_of

OLDEST_POSTGRES = 130_000  # gen_random_uuid() and pg_current_xact_id() are built in from 13 on
CLOCK_LIMIT = 5.0  # seconds
RELOAD = "SELECT pg_reload_conf();"
UTF8 = "createdb --encoding UTF8 --template template0 …  # then pg_dump and pg_restore into it"

SERVER = RuleGroup("server")
MARKER = RuleGroup("environment marker")
POOLER = RuleGroup("pooler")
NOTIFY = RuleGroup("NOTIFY")


@SERVER.rule("postgres-too-old", ERROR)
def too_old(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """The schema and the worker's statements need PostgreSQL 13 or newer."""
    if server.number < OLDEST_POSTGRES:
        yield f"The server is PostgreSQL {server.version}.", "pg_upgrade  # to PostgreSQL 13 or newer"


@SERVER.rule("database-read-only", ERROR)
def read_only(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """Claiming an event writes its row: here no worker can start, and no command can change anything."""
    if server.standby:
        mend = "export DATABASE_URL=…  # name the primary; of several hosts the one that takes writes is used"
        yield "The server is a standby.", mend
    elif server.read_only:
        name = "default_transaction_read_only"
        mend = f"SET {name} = off; {_setting(server, name, 'off')}"
        yield "default_transaction_read_only is on for this database or role.", mend


@SERVER.rule("isolation-level", ERROR)
def isolation(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """The worker's statements are written for read committed.

    Under a stricter level, workers that meet at a row end each other's transactions.
    """
    if server.isolation != "read committed":
        mend = _setting(server, "default_transaction_isolation", "'read committed'")
        yield f"default_transaction_isolation is {server.isolation}.", mend


@SERVER.rule("fsync-off", ERROR)
def fsync(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """A power cut can corrupt the whole database, or lose committed events."""
    if not server.fsync:
        yield "fsync is off.", f"ALTER SYSTEM SET fsync = on; {RELOAD}"


@SERVER.rule("synchronous-commit-off", WARNING)
def synchronous_commit(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """A crash of the server loses the last commits, and with them events that the application thinks safe."""
    if server.synchronous_commit == "off":
        mend = _setting(server, "synchronous_commit", "on")
        yield "synchronous_commit is off for this database or role.", mend


@SERVER.rule("autovacuum-off", WARNING)
def autovacuum(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """Each event leaves three dead rows; without vacuum, claims get slower by the day."""
    if not server.autovacuum:
        yield "autovacuum is off for the whole server.", f"ALTER SYSTEM SET autovacuum = on; {RELOAD}"


@SERVER.rule("encoding-sql-ascii", INFO)
def encoding(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """It holds any bytes. A row whose text is no UTF-8 fails alone with bad_document."""
    if server.encoding == "SQL_ASCII":
        yield "The database's encoding is SQL_ASCII.", UTF8


@SERVER.rule("other-encoding", INFO)
def narrow_encoding(server: ServerFacts, _: Settings) -> Iterator[Case]:
    r"""A character that it lacks is stored in `error` as an escape (`\u2026`).

    In --by, --reason and OUTBOX_WORKER_ID it is refused with exit 2.
    """
    if server.encoding not in ANY_TEXT:
        yield f"The database's encoding is {server.encoding}.", UTF8


@SERVER.rule("clock-database", WARNING)
def clock(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """The database's clock decides about leases and due times; logs of this machine contradict it."""
    ahead = server.clock_ahead
    if abs(ahead) > CLOCK_LIMIT + server.round_trip:
        way = "ahead of" if ahead > 0 else "behind"
        yield f"The database's clock is {abs(ahead):,.0f} s {way} this machine's.", "sudo chronyc makestep"


@MARKER.rule("environment-contradicted", ERROR)
def contradicted(marked: str | None, settings: Settings) -> Iterator[Case]:
    """Every other command refuses to work here (exit 2)."""
    if settings.environment and marked and marked != settings.environment:
        other = f"`outboxctl db mark {settings.environment} --by YOU --reason WHY`"
        mend = export("OUTBOX_ENV", marked) + f"  # or point DATABASE_URL to the right database, or {other}"
        name = variable_of("environment", settings.environment)
        yield f"{name} is {settings.environment}, the database is marked {marked}.", mend


@MARKER.rule("environment-unset", INFO)
def unset(marked: str | None, settings: Settings) -> Iterator[Case]:
    """A command meant for another database is not noticed."""
    if marked and not settings.environment:
        yield f"The database is marked {marked}, and OUTBOX_ENV is not set.", export("OUTBOX_ENV", marked)


@MARKER.rule("marker-missing", INFO)
def unmarked(marked: str | None, settings: Settings) -> Iterator[Case]:
    """OUTBOX_ENV is compared with nothing here, so it guards nothing."""
    if settings.environment and not marked:
        mend = "outboxctl db upgrade  # writes the marker while OUTBOX_ENV is set"
        yield "The database carries no environment marker.", mend


@POOLER.rule("transaction-pooler", INFO)
def pooler(shared: bool, _: Settings) -> Iterator[Case]:
    """A worker can use it.

    What belongs to a session does not work: LISTEN, session advisory locks, plain SET. Its pool
    bounds a worker's connections.
    """
    if shared:
        mend = "SHOW POOLS;  -- in the pooler's console: room for OUTBOX_CONCURRENCY + 3 a worker"
        yield "DATABASE_URL leads through a pooler in transaction mode.", mend


@dataclass(frozen=True)
class NotifyFacts:
    """Whether inserts notify, and whether a pooler between us and the server drops notifications."""

    switch: NotifyState
    pooled: bool


@NOTIFY.rule("notify-pooled", WARNING)
def pooled(facts: NotifyFacts, settings: Settings) -> Iterator[Case]:
    """Such a pooler passes no notification on: every insert pays for one, and this worker only polls."""
    if facts.switch.on and facts.pooled and settings.notify is NotifyPolicy.AUTO:
        mend = "outboxctl db notify off  # or set DATABASE_URL to PostgreSQL itself, not to the pooler"
        yield "Inserts notify, and DATABASE_URL leads through a pooler in transaction mode.", mend


@NOTIFY.rule("notify-unheard", INFO)
def no_listener(facts: NotifyFacts, _: Settings) -> Iterator[Case]:
    """Every insert pays for a notification that no session receives."""
    if facts.switch.on and not facts.pooled and not facts.switch.listening:
        mend = "outboxctl db notify off  # or start a worker whose OUTBOX_NOTIFY is auto"
        yield "Inserts notify, and no session that this role may see listens.", mend


def _setting(server: ServerFacts, name: str, value: str) -> str:
    """The statement for the place where it is set, or above: a role's setting wins over its database's."""
    source = server.sources.get(name)
    where = f"ROLE {server.role}" if source else f"DATABASE {server.database}"
    within = f" IN DATABASE {server.database}" if source == "database user" else ""
    return f"ALTER {where}{within} SET {name} = {value};"
