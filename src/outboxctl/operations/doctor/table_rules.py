"""Rules for the schema: its revision, its indexes and triggers, and the rights on it."""

from collections.abc import Iterator

from outboxctl.core.inspect.rights import MissingRight, Rights
from outboxctl.core.inspect.tables import INDEXES, TableIndex, Tables
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.schema.roles import DELIVERY, NEW_EVENT, Role
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.settings import Settings

UPGRADE = "outboxctl db upgrade"
PAIR = {"entity_type", "entity_id"}


@rule("schema-missing", FindingSeverity.ERROR, "There is no outbox here: nothing can be claimed.")
def missing(tables: Tables, _: Settings) -> Iterator[Said]:
    """Never migrated."""
    if tables.revision is None:
        yield (
            f"The schema was never installed; it lacks {', '.join(tables.missing) or 'its revision'}.",
            UPGRADE,
        )


@rule(
    "schema-behind",
    FindingSeverity.ERROR,
    "This outboxctl relies on tables and columns that newer revisions add.",
)
def behind(tables: Tables, _: Settings) -> Iterator[Said]:
    """Migrated by an older program."""
    if tables.revision not in (None, tables.head) and tables.known:
        yield f"The schema is at revision {tables.revision}; this outboxctl needs {tables.head}.", UPGRADE


@rule("schema-unknown", FindingSeverity.ERROR, "A newer outboxctl made the schema; this one may misread it.")
def unknown(tables: Tables, _: Settings) -> Iterator[Said]:
    """Migrated by a newer program."""
    if not tables.known:
        mend = "pip install --upgrade outboxctl"
        yield f"The schema is at revision {tables.revision}, which this outboxctl does not know.", mend


@rule("table-missing", FindingSeverity.ERROR, "Commands that need it end with exit 2.")
def table_missing(tables: Tables, _: Settings) -> Iterator[Said]:
    """The revision says that a table is there, and it is not (or not on the search_path)."""
    if tables.revision == tables.head:
        for name in tables.missing:
            restore = f"pg_restore --table {name} …  # from a backup; or check this role's search_path"
            yield f"The table {name} is missing although the schema is at {tables.head}.", restore


@rule(
    "db-index-missing",
    FindingSeverity.ERROR,
    "Without it every claim, reclaim or status reads the whole outbox.",
)
def index_missing(tables: Tables, _: Settings) -> Iterator[Said]:
    """One of the migrations' own indexes is gone."""
    held, way = {index.name for index in tables.outbox}, _concurrently(tables)
    for name, what in INDEXES.items():
        if name not in held and EVENTS not in tables.missing and tables.revision:
            yield f"The index {name} is missing.", f"CREATE INDEX {way}{name} ON {EVENTS} {what};"


@rule("db-index-invalid", FindingSeverity.WARNING, "It costs at every write and answers no query.")
def index_invalid(tables: Tables, _: Settings) -> Iterator[Said]:
    """What an interrupted CREATE INDEX CONCURRENTLY leaves behind."""
    for index in tables.outbox + tables.source:
        if not index.valid:
            yield f"The index {index.name} is invalid.", f"REINDEX INDEX CONCURRENTLY {index.name};"


@rule(
    "db-index-harmful",
    FindingSeverity.WARNING,
    "It is paid for at each of an event's three writes: an index on every column left a fifth of the speed.",
)
def index_harmful(tables: Tables, _: Settings) -> Iterator[Said]:
    """A foreign index on columns that every delivery changes."""
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


@rule(
    "source-not-unique",
    FindingSeverity.ERROR,
    "With two rows of one entity the document follows either of them, and finding it reads the whole table.",
)
def not_unique(tables: Tables, _: Settings) -> Iterator[Said]:
    """No unique index on the entity."""
    unique = any(index.unique_pair and set(index.columns) == PAIR for index in tables.source)
    if not unique and SOURCE not in tables.missing:
        name = "uq_search_index_entity"
        mend = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {SOURCE} (entity_type, entity_id);"
        yield f"{SOURCE} has no unique index on (entity_type, entity_id).", mend


@rule(
    "trigger-on-update",
    FindingSeverity.WARNING,
    "It runs at each of an event's three writes, inside the claim.",
)
def trigger(tables: Tables, _: Settings) -> Iterator[Said]:
    """A trigger that fires when a worker claims or settles."""
    for name in tables.update_triggers:
        yield (
            f"The trigger {name} on {EVENTS} fires on UPDATE.",
            f"ALTER TABLE {EVENTS} DISABLE TRIGGER {name};",
        )


@rule("rights-read", FindingSeverity.ERROR, "Neither worker nor status can work as this role.")
def reader(rights: Rights, _: Settings) -> Iterator[Said]:
    """What everybody needs."""
    for lack in rights.reader:
        yield _lacks(rights, [lack]), f"GRANT {lack.privilege} ON {lack.table} TO {rights.role};"


@rule(
    "rights-worker",
    FindingSeverity.WARNING,
    "A worker cannot work as this role; `outboxctl status` and such can.",
)
def worker(rights: Rights, _: Settings) -> Iterator[Said]:
    """What only a worker needs, where it may be one."""
    if rights.worker and not rights.no_worker:
        yield _lacks(rights, rights.worker), _member(rights, Role.WORKER)


@rule(
    "rights-no-worker",
    FindingSeverity.INFO,
    "That is right for people. Only a login that is to deliver needs more.",
)
def no_worker(rights: Rights, _: Settings) -> Iterator[Said]:
    """A viewer or an operator."""
    if rights.worker and rights.no_worker:
        yield f"The role {rights.role} is no worker's.", _member(rights, Role.WORKER)


@rule(
    "rights-operator",
    FindingSeverity.INFO,
    "Some of `replay`, `discard`, `prune`, `repair` and `rebuild` cannot be run as this role.",
)
def operator(rights: Rights, _: Settings) -> Iterator[Said]:
    """What only an operator needs."""
    if rights.operator:
        yield _lacks(rights, rights.operator), _member(rights, Role.OPERATOR)


@rule(
    "rights-wide",
    FindingSeverity.WARNING,
    "Events can be inserted with a past that they never had. Migration 0007 refuses that to whoever may not"
    " change them; before it nothing does.",
)
def wide(rights: Rights, _: Settings) -> Iterator[Said]:
    """A grant of the whole table, as the manual once had it, or of a column that no producer needs."""
    for each in rights.wide:
        columns = f" ({', '.join(each.columns)})" if each.columns else ""
        whose = f"GRANT INSERT ({', '.join(('id', *NEW_EVENT))}) ON {EVENTS} TO {each.grantee};"
        revoke = f"REVOKE INSERT{columns} ON {EVENTS} FROM {each.grantee};"
        may = f"{each.grantee} may INSERT{columns or ' every column'} of {EVENTS}"
        yield (
            f"{may}; a producer needs {len(NEW_EVENT) + 1} columns.",
            revoke if columns else f"{revoke} {whose}",
        )


@rule(
    "rights-recreate",
    FindingSeverity.WARNING,
    "An event can be deleted and another one written under its id: what the audit says of it is then told"
    " of something else.",
)
def recreate(rights: Rights, _: Settings) -> Iterator[Said]:
    """DELETE with INSERT of the id, as an operator had it before `db roles` was run again."""
    for grantee in rights.recreates:
        mend = f"REVOKE INSERT (id) ON {EVENTS} FROM {grantee};  -- an application needs it, and no DELETE"
        yield f"{grantee} may DELETE events and INSERT others under their ids.", mend


def _lacks(rights: Rights, lacking: list[MissingRight]) -> str:
    return (
        f"The role {rights.role} lacks {', '.join(f'{each.privilege} on {each.table}' for each in lacking)}."
    )


def _member(rights: Rights, role: Role) -> str:
    """Rights come with a group alone: single ones given to a login outlive every mend of the groups."""
    return f"GRANT outbox_{role} TO {rights.role};  -- if it is to be one; `outboxctl db roles` has that role"


TABLES = RuleGroup(
    "schema, indexes, triggers",
    (
        missing,
        behind,
        unknown,
        table_missing,
        index_missing,
        index_invalid,
        index_harmful,
        not_unique,
        trigger,
    ),
)
RIGHTS = RuleGroup("rights", (reader, worker, no_worker, operator, wide, recreate))
