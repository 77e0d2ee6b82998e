"""Temporary copies of tables, with a sample of rows: nothing that happens to them reaches the tables.

A copy has the columns, indexes and generated columns of its table, and no trigger, default, foreign key, rule
or policy. So no function of a trigger runs and no sequence is asked. The table itself is read, under the lock
of a SELECT.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.change_costs import sample
from outboxctl.core.projections.scratch import TEMPORARY_SCHEMA, one_statement
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

ROWS = 200
BYTES = 2_000_000  # of their values, as they are stored
LIKE = "INCLUDING GENERATED INCLUDING INDEXES INCLUDING STORAGE"
COPY = f"CREATE TEMPORARY TABLE {{copy}} (LIKE {{table}} {LIKE}) {{partitions}}"
EVENTS_COPY = f"CREATE TEMPORARY TABLE {{copy}} (LIKE {{table}} {LIKE} INCLUDING DEFAULTS)"
DEFAULT = "CREATE TEMPORARY TABLE {part} PARTITION OF {copy} DEFAULT"
# A hash has no default partition.
PARTITIONS = text(f"""
SELECT regexp_replace(pg_get_partkeydef(c.oid), '^HASH', 'RANGE') FROM {RELATION}
WHERE c.relkind = 'p'
""")
# Of each column whether all rows may have one value of it.
COLUMNS = text(f"""
SELECT a.attname::text, NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
        AND (i.indisunique OR i.indisexclusion) AND a.attnum = ANY (i.indkey))
    AND NOT EXISTS (SELECT FROM pg_partitioned_table p
        WHERE p.partrelid = c.oid AND a.attnum = ANY (p.partattrs))
FROM {RELATION} JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
""")
FILL = """
INSERT INTO {rows} ({columns}) SELECT {columns} FROM (
    SELECT {columns}, sum({size}) OVER (ROWS UNBOUNDED PRECEDING) AS so_far FROM (
        SELECT {columns} FROM {sampled} {end}) t
) t WHERE so_far <= {bytes}
"""


@dataclass(frozen=True)
class TableCopy:
    """Two copies of a table: `bare`, and one that gets triggers; `rows` holds `number` rows for them.

    `columns` are those that are written, `free` those of which all rows may have the same value.
    """

    table: Relation
    bare: Relation
    watched: Relation
    rows: Relation
    columns: tuple[str, ...]
    free: frozenset[str]
    number: int


def of_table(connection: Connection, table: Relation, number: int) -> TableCopy:
    """The copies of a table, the `number`th of this transaction. Raises UsageError where it is refused."""
    names = (f"outbox_{what}_{number}" for what in ("bare", "watched", "rows"))
    bare, watched, rows = (_copy(connection, table, each) for each in names)
    found = [(str(column), bool(free)) for column, free in connection.execute(COLUMNS, of(table))]
    columns = tuple(column for column, _ in found)
    filled = _fill(connection, table, rows, columns)
    free = frozenset(column for column, alike in found if alike)
    return TableCopy(table, bare, watched, rows, columns, free, filled)


def of_events(connection: Connection, schema: str) -> str:
    """A copy of the outbox, in the schema of temporary tables, whose name is returned."""
    like = SQL(EVENTS_COPY).format(copy=Identifier(EVENTS), table=Identifier(schema, EVENTS))
    one_statement(connection, like.as_string())
    return _schema(connection)


def name(relation: Relation) -> Identifier:
    """Its qualified name."""
    return Identifier(relation.schema, relation.name)


def listed(columns: Sequence[str]) -> Composed:
    """A list of columns."""
    return SQL(", ").join(map(Identifier, columns))


def _copy(connection: Connection, table: Relation, called: str) -> Relation:
    by = connection.execute(PARTITIONS, of(table)).scalar()
    partitions = SQL(f"PARTITION BY {by}" if by else "")
    copy = Identifier(called)
    composed = SQL(COPY).format(copy=copy, table=name(table), partitions=partitions)
    one_statement(connection, composed.as_string())
    if by:
        part = Identifier(f"{called}_default")
        one_statement(connection, SQL(DEFAULT).format(part=part, copy=copy).as_string())
    return Relation(_schema(connection), called)


def _fill(connection: Connection, table: Relation, rows: Relation, columns: Sequence[str]) -> int:
    sampled, end = sample(connection, table, "t", ROWS)
    sizes = (SQL("coalesce(pg_column_size({}), 0)::int8").format(Identifier(each)) for each in columns)
    composed = SQL(FILL).format(
        rows=name(rows),
        columns=listed(columns),
        size=SQL(" + ").join(sizes),
        sampled=sampled,
        end=end,
        bytes=SQL(str(BYTES)),
    )
    return int(one_statement(connection, composed.as_string()).rowcount)


def _schema(connection: Connection) -> str:
    return str(connection.execute(TEMPORARY_SCHEMA).scalar_one())
