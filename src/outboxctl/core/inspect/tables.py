"""The schema: its revision, missing tables, indexes; and what this role lacks of `outboxctl roles` there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.schema import CreateIndex

from outboxctl.core.schema import migrations
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.names import EVENTS, HEAD, SOURCE, TABLES, WORKERS
from outboxctl.core.schema.removal import Orphan, orphans
from outboxctl.core.schema.roles import RIGHTS, Right, Role
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.engine import DIALECT
from outboxctl.core.tables import METADATA

# The indexes of the outbox, as CREATE INDEX has them behind the table's name.
INDEXES = {
    str(index.name): str(CreateIndex(index).compile(dialect=DIALECT)).partition(f" ON {EVENTS} ")[2]
    for index in METADATA.tables[EVENTS].indexes
}
MISSING_TABLES = text("""
SELECT t FROM unnest(CAST(:tables AS text[]), CAST(:names AS text[])) u (t, name)
WHERE to_regclass(name) IS NULL
""")
# Columns that an index depends on: in its key, its expressions or its predicate.
INDEXES_OF = text("""
SELECT quote_ident(c.relname) AS name, i.indisvalid AS valid,
    coalesce((SELECT quote_ident(k.conname) FROM pg_constraint k
        WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid LIMIT 1), '') AS constraint_name,
    ARRAY(SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND (a.attnum = ANY (i.indkey) OR EXISTS (
            SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
        ORDER BY a.attnum) AS columns,
    i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 2
        AND i.indimmediate AND i.indisvalid AS unique_pair
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(:table)
ORDER BY c.relname
""")
PARTITIONED = text(f"SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('{EVENTS}')")


@dataclass(frozen=True)
class TableIndex:
    """One index; names are quoted for SQL, `constraint_name` is empty where it backs none."""

    name: str
    valid: bool
    constraint_name: str
    columns: list[str]
    unique_pair: bool


@dataclass(frozen=True)
class Tables:
    """Revision of the schema and of this program, and what the tables carry.

    `known`: whether this program knows the database's revision.
    `partitioned`: the outbox is, and PostgreSQL builds or drops no index of such a table concurrently.
    """

    revision: str | None
    head: str
    known: bool
    missing: list[str]
    outbox: list[TableIndex]
    source: list[TableIndex]
    partitioned: bool
    orphans: list[Orphan] = field(default_factory=list)


def tables(connection: Connection) -> Tables:
    """Read the schema's facts."""
    revision = current(connection)
    names = [places(connection).name(table) for table in TABLES]
    missing = connection.execute(MISSING_TABLES, {"tables": list(TABLES), "names": names}).scalars()
    return Tables(
        revision,
        HEAD,
        revision is None or migrations.knows(revision),
        list(missing),
        _indexes(connection, EVENTS),
        _indexes(connection, SOURCE),
        bool(connection.execute(PARTITIONED).scalar()),
        orphans(connection),
    )


def _indexes(connection: Connection, table: str) -> list[TableIndex]:
    values = {"table": places(connection).name(table)}
    return [TableIndex(**row._asdict()) for row in connection.execute(INDEXES_OF, values)]


PREFIX = "outbox_"  # of the groups' names
CURRENT_ROLE = text("SELECT current_user")
GROUPS = text("SELECT rolname FROM pg_roles WHERE pg_has_role(CAST(:role AS name), oid, 'MEMBER')")
QUOTED_MAY_UPDATE = text(f"""
SELECT quote_ident(:role),
    coalesce(has_any_column_privilege(CAST(:role AS name), to_regclass('{EVENTS}')::oid, 'UPDATE'), false)
""")
MAY_SEE_LOGINS = text(f"""
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('{WORKERS}') AND attname = 'login'
    AND has_column_privilege(attrelid, attnum, 'SELECT'))
""")
LOGINS = text(f"""
SELECT DISTINCT rolname FROM {WORKERS} JOIN pg_roles ON rolname = login WHERE login <> current_user LIMIT 10
""")
# By column, because a role may have rights to just the columns that it needs; DELETE has none.
MISSING_COLUMNS = text("""
SELECT quote_ident(a.attname) FROM pg_attribute a, (SELECT CAST(:role AS name) AS name) role
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
    AND (CAST(:columns AS text[]) = '{}' OR a.attname = ANY (CAST(:columns AS text[])))
    AND NOT CASE :privilege WHEN 'DELETE' THEN has_table_privilege(role.name, a.attrelid, :privilege)
        ELSE has_column_privilege(role.name, a.attrelid, a.attnum, :privilege) END
ORDER BY a.attnum
""")
# Without these no command works; a viewer has them too.
READER_RIGHTS = tuple(right for right in RIGHTS if right.role is Role.WORKER and right.verbs == "SELECT")


@dataclass(frozen=True)
class MissingRight:
    """A missing privilege in GRANT's words, such as `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks; `changes`: it may change some column of an event.

    `groups`: those that it is a member of. `workers`: the same of workers' logins that lack something.
    """

    role: str
    reader: list[MissingRight]
    worker: list[MissingRight]
    operator: list[MissingRight]
    changes: bool
    groups: frozenset[Role]
    workers: "Sequence[Rights]" = ()

    @property
    def no_worker(self) -> bool:
        """Whether it has the rights of an operator or a viewer, who do not deliver."""
        return not self.operator or not self.changes


def rights(connection: Connection) -> Rights:
    """Compare this role's rights with those of `outboxctl roles`; a missing table counts as complete."""
    own = _rights(connection, connection.execute(CURRENT_ROLE).scalar_one())
    seen = connection.execute(MAY_SEE_LOGINS).scalar_one()
    logins = connection.execute(LOGINS).scalars().all() if seen else []
    workers = [_rights(connection, login) for login in logins]
    return replace(own, workers=[each for each in workers if each.reader or each.worker])


def _rights(connection: Connection, name: str) -> Rights:
    reader = list(_missing(connection, name, READER_RIGHTS))
    worker, operator = (
        [
            each
            for each in _missing(connection, name, [r for r in RIGHTS if r.role is role])
            if each not in reader
        ]
        for role in (Role.WORKER, Role.OPERATOR)
    )
    groups = {*connection.execute(GROUPS, {"role": name}).scalars()}
    shown, changes = connection.execute(QUOTED_MAY_UPDATE, {"role": name}).one()
    member = frozenset(role for role in Role if PREFIX + role in groups)
    return Rights(shown, reader, worker, operator, changes, member)


def _missing(connection: Connection, name: str, needed: Iterable[Right]) -> Iterator[MissingRight]:
    for right in needed:
        for verb in right.verbs.split(", "):
            if lacking := _missing_privilege(connection, name, verb, right):
                yield MissingRight(lacking, right.table)


def _missing_privilege(connection: Connection, name: str, verb: str, right: Right) -> str:
    values = {
        "role": name,
        "table": places(connection).name(right.table),
        "privilege": verb,
        "columns": list(right.columns),
    }
    names = connection.execute(MISSING_COLUMNS, values).scalars().all()
    return (f"{verb} ({', '.join(names)})" if right.columns else verb) if names else ""
