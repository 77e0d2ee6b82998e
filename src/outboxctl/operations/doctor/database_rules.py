"""Rules for the database: its server, marker and schema, the indexes there, and this role's rights."""

from collections.abc import Iterator

from outboxctl.core.inspect.rights import AGAIN, Rights
from outboxctl.core.inspect.server import ENCODING, MIN_POSTGRES, ServerFacts
from outboxctl.core.inspect.tables import INDEXES, TableIndex, Tables
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.schema.roles import DELIVERY, Role
from outboxctl.domain.printable import brief
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import Settings, variable_of

UPGRADE = "outboxctl db upgrade"
PAIR = {"entity_type", "entity_id"}

SERVER = RuleGroup("server")
MARKER = RuleGroup("environment marker")
TABLES = RuleGroup("schema, indexes, triggers")
RIGHTS = RuleGroup("rights")


@SERVER.rule("postgres-too-old", ERROR)
def too_old(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """`db upgrade` refuses such a server, and no worker starts."""
    if server.number < MIN_POSTGRES:
        yield f"The server is PostgreSQL {server.version}.", "pg_upgrade  # to PostgreSQL 14 or newer"


@SERVER.rule("database-encoding", ERROR)
def encoding(server: ServerFacts, _: Settings) -> Iterator[Case]:
    """`db upgrade` refuses such a database, and no worker starts."""
    if server.encoding != ENCODING:
        mend = f"CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0;  -- then pg_dump … | psql …"
        yield f"The encoding of the database is {server.encoding}.", mend


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


@MARKER.rule("environment-contradicted", ERROR)
def contradicted(marked: str | None, settings: Settings) -> Iterator[Case]:
    """Every other command refuses to work here (exit 2)."""
    if settings.environment and marked and marked != settings.environment:
        other = f"`outboxctl db mark {settings.environment} --by YOU --reason WHY`"
        mend = export("OUTBOX_ENV", marked) + f"  # or point DATABASE_URL to the right database, or {other}"
        name = variable_of("environment")
        yield f"{name} is {settings.environment}, the database is marked {marked}.", mend


def _setting(server: ServerFacts, name: str, value: str) -> str:
    """The statement whose setting wins over that of the role, and over that of the database."""
    return f"ALTER ROLE {server.role} IN DATABASE {server.database} SET {name} = {value};"


@TABLES.rule("schema-missing", ERROR)
def missing(tables: Tables, _: Settings) -> Iterator[Case]:
    """There is no outbox here: nothing can be claimed."""
    if tables.revision is None:
        what = f"The schema was never installed; it lacks {', '.join(tables.missing) or 'its revision'}."
        yield what, UPGRADE


@TABLES.rule("schema-behind", ERROR)
def behind(tables: Tables, _: Settings) -> Iterator[Case]:
    """The statements of this outboxctl use tables and columns that newer revisions add."""
    if tables.revision not in (None, tables.head) and tables.known:
        yield f"The schema is at revision {tables.revision}; this outboxctl needs {tables.head}.", UPGRADE


@TABLES.rule("schema-unknown", ERROR)
def unknown(tables: Tables, _: Settings) -> Iterator[Case]:
    """Another outboxctl made the schema; this one may misread it."""
    if not tables.known:
        mend = "pip install --upgrade outboxctl"
        mend += "  # at 0001 to 0018, made by a checkout before the first release: use a new database"
        yield f"The schema is at revision {tables.revision}, which this outboxctl does not know.", mend


@TABLES.rule("table-missing", ERROR)
def table_missing(tables: Tables, _: Settings) -> Iterator[Case]:
    """Commands that need it end with exit 2."""
    # Also where the table is not on the search_path.
    if tables.revision == tables.head:
        for name in tables.missing:
            restore = f"pg_restore --table {name} …  # from a backup; or check this role's search_path"
            yield f"The table {name} is missing although the schema is at {tables.head}.", restore


@TABLES.rule("db-index-missing", ERROR)
def index_missing(tables: Tables, _: Settings) -> Iterator[Case]:
    """Without it every claim, reclaim or status reads the whole outbox.

    No query uses an invalid one, which an interrupted CREATE INDEX CONCURRENTLY leaves.
    """
    held, way = {index.name: index.valid for index in tables.outbox}, _concurrently(tables)
    for name, what in INDEXES.items():
        create = f"CREATE INDEX {way}{name} ON {EVENTS} {what};"
        if held.get(name) is False:
            mend = f"DROP INDEX {way}{name}; {create}"
            yield f"The index {name} is invalid.", f"{mend}  -- unless it is being made now"
        elif name not in held and EVENTS not in tables.missing and tables.revision:
            yield f"The index {name} is missing.", create


@TABLES.rule("db-index-harmful", WARNING)
def index_harmful(tables: Tables, _: Settings) -> Iterator[Case]:
    """Each of an event's three writes updates it: an index on every column left a fifth of the speed."""
    way = _concurrently(tables)
    for index in tables.outbox:
        touched = [column for column in index.columns if column in DELIVERY]
        if touched and index.name not in INDEXES:
            what = f"The index {index.name} on {EVENTS} covers what deliveries change: {', '.join(touched)}."
            yield what, _drop(index, way)


def _concurrently(tables: Tables) -> str:
    return "" if tables.partitioned else "CONCURRENTLY "


def _drop(index: TableIndex, way: str) -> str:
    if index.constraint_name:
        return f"ALTER TABLE {EVENTS} DROP CONSTRAINT {index.constraint_name};"
    return f"DROP INDEX {way}{index.name};"


@TABLES.rule("source-not-unique", ERROR)
def not_unique(tables: Tables, _: Settings) -> Iterator[Case]:
    """With two rows of one entity the document follows either, and finding it reads the whole table."""
    unique = any(index.unique_pair and set(index.columns) == PAIR for index in tables.source)
    if not unique and SOURCE not in tables.missing:
        name = "uq_search_index_entity"
        mend = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {SOURCE} (entity_type, entity_id);"
        yield f"{SOURCE} has no unique index on (entity_type, entity_id).", mend


@TABLES.rule("projection-triggers-left", ERROR)
def triggers_left(tables: Tables, _: Settings) -> Iterator[Case]:
    """Each change there writes events that fail (config), or fails itself where there is no outbox."""
    for each in tables.orphans:
        on = brief(", ".join(each.tables), 200)
        what = f"The triggers of {each.function} on {on} are" if on else f"The function {each.function} is"
        yield f"{what} of no projection in force.", f"DROP FUNCTION {each.function} CASCADE;"


@RIGHTS.rule("rights-read", ERROR)
def reader(rights: Rights, _: Settings) -> Iterator[Case]:
    """Neither worker nor status can work as this role."""
    if rights.reader:
        mend = f"GRANT outbox_worker TO {rights.role};  -- outbox_viewer, if it only reads; first: {AGAIN}"
        readers = [role for role in Role if role in rights.groups and role is not Role.PRODUCER]
        yield f"The {rights.lacks(rights.reader)}.", rights.granting(readers[0]) if readers else mend


@RIGHTS.rule("rights-worker", WARNING)
def worker(rights: Rights, _: Settings) -> Iterator[Case]:
    """A worker cannot work as this role, or not fully; `outboxctl status` and such can.

    After an upgrade the roles of `outboxctl roles` lack rights to new tables: run its SQL again.
    """
    if rights.worker and not rights.no_worker:
        yield f"The {rights.lacks(rights.worker)}.", _member(rights, Role.WORKER)


@RIGHTS.rule("rights-of-workers", WARNING)
def of_workers(rights: Rights, _: Settings) -> Iterator[Case]:
    """A worker has logged in as this role within a day; it cannot work, or not fully."""
    for each in rights.workers:
        yield f"The {each.lacks([*each.reader, *each.worker])}.", _member(each, Role.WORKER)


@RIGHTS.rule("rights-no-worker", INFO)
def no_worker(rights: Rights, _: Settings) -> Iterator[Case]:
    """That is right for people. Only a login that is to deliver needs more."""
    if rights.worker and rights.no_worker and not rights.reader:
        yield f"The role {rights.role} is no worker's.", _member(rights, Role.WORKER)


@RIGHTS.rule("rights-operator", INFO)
def operator(rights: Rights, _: Settings) -> Iterator[Case]:
    """Some of `replay`, `discard`, `prune`, `repair` and `rebuild` cannot be run as this role."""
    if rights.operator and not rights.reader:
        yield f"The {rights.lacks(rights.operator)}.", _member(rights, Role.OPERATOR)


def _member(rights: Rights, role: Role) -> str:
    """The right way to grant it; whoever is in the group already lacks no membership."""
    mend = rights.granting(role)
    return mend if role in rights.groups else f"{mend};  -- if it is to be one; first: {AGAIN}"
