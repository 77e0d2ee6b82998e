"""Rules for the PostgreSQL server as it presents itself to this role."""

from collections.abc import Iterator

from outboxctl.core.inspect.server import ServerFacts
from outboxctl.core.schema.encoding import ANY_TEXT
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import Settings, variable_of

OLDEST_POSTGRES = 130_000  # gen_random_uuid() and pg_current_xact_id() are built in from 13 on
CLOCK_LIMIT = 5.0  # seconds
RELOAD = "SELECT pg_reload_conf();"
UTF8 = "createdb --encoding UTF8 --template template0 …  # then pg_dump and pg_restore into it"


@rule(
    "postgres-too-old",
    FindingSeverity.ERROR,
    "The schema and the worker's statements need PostgreSQL 13 or newer.",
)
def too_old(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """A version that lacks what the statements use."""
    if server.number < OLDEST_POSTGRES:
        yield f"The server is PostgreSQL {server.version}.", "pg_upgrade  # to PostgreSQL 13 or newer"


@rule(
    "database-read-only",
    FindingSeverity.ERROR,
    "Claiming an event writes its row: here no worker can start, and no command can change anything.",
)
def read_only(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """A standby, or a database or role that is set read-only."""
    if server.standby:
        mend = "export DATABASE_URL=…  # name the primary; of several hosts the one that takes writes is used"
        yield "The server is a standby.", mend
    elif server.read_only:
        name = "default_transaction_read_only"
        mend = f"SET {name} = off; {_setting(server, name, 'off')}"
        yield "default_transaction_read_only is on for this database or role.", mend


@rule(
    "isolation-level",
    FindingSeverity.ERROR,
    "The worker's statements are written for read committed: under a stricter level, workers that meet "
    "at a row end each other's transactions.",
)
def isolation(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """A default isolation level that is not PostgreSQL's own."""
    if server.isolation != "read committed":
        mend = _setting(server, "default_transaction_isolation", "'read committed'")
        yield f"default_transaction_isolation is {server.isolation}.", mend


@rule(
    "fsync-off",
    FindingSeverity.ERROR,
    "A power cut can corrupt the whole database, or lose committed events.",
)
def fsync(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """Durability switched off altogether."""
    if not server.fsync:
        yield "fsync is off.", f"ALTER SYSTEM SET fsync = on; {RELOAD}"


@rule(
    "synchronous-commit-off",
    FindingSeverity.WARNING,
    "A crash of the server loses the last commits, and with them events that the application thinks safe.",
)
def synchronous_commit(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """Commits that are acknowledged before they are on disk."""
    if server.synchronous_commit == "off":
        mend = _setting(server, "synchronous_commit", "on")
        yield "synchronous_commit is off for this database or role.", mend


@rule(
    "autovacuum-off",
    FindingSeverity.WARNING,
    "Each event leaves three dead rows; unswept, claims get slower daily.",
)
def autovacuum(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """Autovacuum switched off for the server."""
    if not server.autovacuum:
        yield "autovacuum is off for the whole server.", f"ALTER SYSTEM SET autovacuum = on; {RELOAD}"


@rule(
    "encoding-sql-ascii",
    FindingSeverity.INFO,
    "It holds any bytes. A row whose text is no UTF-8 fails alone with bad_document.",
)
def encoding(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """A database that does not know what its bytes mean."""
    if server.encoding == "SQL_ASCII":
        yield "The database's encoding is SQL_ASCII.", UTF8


@rule(
    "other-encoding",
    FindingSeverity.INFO,
    "A character that it lacks is stored in `error` as an escape (`\\u2026`), and refused in --by, --reason "
    "and OUTBOX_WORKER_ID with exit 2.",
)
def narrow_encoding(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """An encoding that has some of all characters."""
    if server.encoding not in ANY_TEXT:
        yield f"The database's encoding is {server.encoding}.", UTF8


@rule(
    "clock-database",
    FindingSeverity.WARNING,
    "The database's clock decides about leases and due times; logs of this machine contradict it.",
)
def clock(server: ServerFacts, _: Settings) -> Iterator[Said]:
    """Our clock and the server's apart by more than the question took."""
    ahead = server.clock_ahead
    if abs(ahead) > CLOCK_LIMIT + server.round_trip:
        way = "ahead of" if ahead > 0 else "behind"
        yield f"The database's clock is {abs(ahead):,.0f} s {way} this machine's.", "sudo chronyc makestep"


@rule("environment-contradicted", FindingSeverity.ERROR, "Every other command refuses to work here (exit 2).")
def contradicted(marked: str | None, settings: Settings) -> Iterator[Said]:
    """OUTBOX_ENV says one thing, the database another."""
    if settings.environment and marked and marked != settings.environment:
        other = f"`outboxctl db mark {settings.environment} --by YOU --reason WHY`"
        mend = export("OUTBOX_ENV", marked) + f"  # or point DATABASE_URL to the right database, or {other}"
        name = variable_of("environment", settings.environment)
        yield f"{name} is {settings.environment}, the database is marked {marked}.", mend


@rule("environment-unset", FindingSeverity.INFO, "A command meant for another database is not noticed.")
def unset(marked: str | None, settings: Settings) -> Iterator[Said]:
    """A marked database, and nothing to compare the marker with."""
    if marked and not settings.environment:
        yield f"The database is marked {marked}, and OUTBOX_ENV is not set.", export("OUTBOX_ENV", marked)


@rule(
    "marker-missing", FindingSeverity.INFO, "OUTBOX_ENV is compared with nothing here, so it guards nothing."
)
def unmarked(marked: str | None, settings: Settings) -> Iterator[Said]:
    """OUTBOX_ENV is set, the database not marked."""
    if settings.environment and not marked:
        mend = "outboxctl db upgrade  # writes the marker while OUTBOX_ENV is set"
        yield "The database carries no environment marker.", mend


@rule(
    "transaction-pooler",
    FindingSeverity.INFO,
    "outboxctl works through it. What belongs to a session does not: LISTEN, session advisory locks, plain "
    "SET, and its pool bounds a worker's connections.",
)
def pooler(shared: bool, _: Settings) -> Iterator[Said]:
    """A pooler that hands our session to others between transactions."""
    if shared:
        mend = "SHOW POOLS;  -- in the pooler's console: room for OUTBOX_CONCURRENCY + 3 a worker"
        yield "DATABASE_URL leads through a pooler in transaction mode.", mend


def _setting(server: ServerFacts, name: str, value: str) -> str:
    """Set it where it was set, or above: a role's setting wins over its database's."""
    source = server.sources.get(name)
    where = f"ROLE {server.role}" if source else f"DATABASE {server.database}"
    within = f" IN DATABASE {server.database}" if source == "database user" else ""
    return f"ALTER {where}{within} SET {name} = {value};"


SERVER = RuleGroup(
    "server",
    (too_old, read_only, isolation, fsync, synchronous_commit, autovacuum, encoding, narrow_encoding, clock),
)
MARKER = RuleGroup("environment marker", (contradicted, unset, unmarked))
POOLER = RuleGroup("pooler", (pooler,))
