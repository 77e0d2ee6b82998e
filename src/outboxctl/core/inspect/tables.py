"""The schema: its revision, missing tables, indexes."""

from dataclasses import dataclass, field

from sqlalchemy.schema import CreateIndex

from outboxctl.core.schema import migrations
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.names import EVENTS, HEAD, SOURCE, TABLES
from outboxctl.core.schema.removal import Orphan, orphans
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
