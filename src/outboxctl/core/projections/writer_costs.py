"""What the triggers of projections cost a writer: measured on temporary copies of the tables.

The triggers of the copies write into a temporary copy of the outbox. All of it is rolled back; no permanent
table is written to, and none is locked but as a SELECT does. A copy has the columns, indexes and generated
columns of its table, and no trigger, default, foreign key, rule or policy: so no function of a trigger runs,
and no sequence is asked. Temporary tables have no WAL and no commit, so both figures are smaller than on the
tables themselves; their difference is what the triggers add.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import NamedTuple

from psycopg.sql import SQL, Composed, Identifier

from outboxctl.core.projections import catalog
from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.change_costs import sample
from outboxctl.core.projections.scratch import TEMPORARY_SCHEMA, one_statement
from outboxctl.core.projections.trigger_names import WatchedTable, watched, watched_tables
from outboxctl.core.projections.triggers import Triggers
from outboxctl.core.schema.lock_wait import SHORT_LOCK_TIMEOUT
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, Relation

# The first round is not counted: plans are made. The quickest of the others counts, which was interrupted
# least.
FEWEST, ROUNDS = 2, 4
FEWEST_ROWS = 2
NO_ROWS = "it has too few rows of a common size to measure with"
SECONDS = 1.0  # for one statement
INSERT = "INSERT INTO {copy} ({columns}) SELECT {columns} FROM {rows}"
UPDATE = "UPDATE {copy} SET ({changed}) = (SELECT {changed} FROM {rows} ORDER BY md5(ctid::text) LIMIT 1)"
OTHER = "UPDATE {copy} SET {column} = {column}"
DELETE = "DELETE FROM {copy}"
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
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
FILLED = """
CREATE TEMPORARY TABLE {rows} AS SELECT {columns} FROM (
    SELECT {columns}, sum({size}) OVER (ROWS UNBOUNDED PRECEDING) AS so_far FROM (
        SELECT {columns} FROM {sampled} {end}) t
) t WHERE so_far <= {bytes}
"""
# What others own of all that the indexes, generated columns, checks, defaults and partition key depend on:
# the copy would run it as who measures. A domain depends on its checks; an enum runs no code.
CALLED = text(f"""
WITH RECURSIVE used (class, oid, part) AS (
    SELECT own.* FROM {RELATION} CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass::oid, c.oid, 0
        UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0 FROM pg_index WHERE indrelid = c.oid
        UNION ALL SELECT 'pg_attrdef'::regclass, oid, 0 FROM pg_attrdef WHERE adrelid = c.oid
        UNION ALL SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
            WHERE conrelid = c.oid AND contype = 'c') own
    UNION SELECT more.* FROM used u CROSS JOIN LATERAL (
        SELECT refclassid, refobjid, refobjsubid FROM pg_depend
            WHERE classid = u.class AND objid = u.oid AND objsubid = u.part
        UNION ALL SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
            WHERE u.class = 'pg_type'::regclass AND contypid = u.oid) more
)
SELECT min(pg_describe_object(u.class, u.oid, 0)) FROM used u
JOIN pg_shdepend s ON s.classid = u.class AND s.objid = u.oid AND s.deptype = 'o'
    AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
JOIN pg_roles o ON o.oid = s.refobjid AND NOT o.rolsuper AND o.rolname <> current_user
    AND o.oid IS DISTINCT FROM (SELECT relowner FROM pg_class WHERE oid = to_regclass('{EVENTS}'))
WHERE u.class IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_collation'::regclass,
        'pg_opclass'::regclass, 'pg_type'::regclass)
    AND NOT EXISTS (SELECT FROM pg_type t
        WHERE u.class = 'pg_type'::regclass AND t.oid = u.oid AND t.typtype = 'e')
""")
# They run for the copies as for any table, and may do what a rollback does not undo.
EVENT_TRIGGERS = text("""
SELECT string_agg(quote_ident(evtname), ', ' ORDER BY evtname) FROM pg_event_trigger
WHERE evtenabled <> 'D' AND evtevent IN ('ddl_command_start', 'ddl_command_end')
""")


@dataclass(frozen=True)
class WrittenRows:
    """Microseconds a row of a statement that writes many: without triggers, and with them."""

    statement: str
    bare: float
    with_triggers: float


class TableCopies(NamedTuple):
    """Names of temporary copies of a table: one `bare`, one with triggers, and `rows` for both, so many.

    `columns` are those that are written, each with whether all rows may have the same value of it.
    """

    table: Relation
    bare: str
    watched: str
    rows: str
    columns: Mapping[str, bool]
    number: int


@dataclass(frozen=True)
class WriterCosts:
    """Of one table, with a copy of `rows` of its rows; `skipped` says why nothing was measured."""

    table: Relation
    rows: int = 0
    statements: list[WrittenRows] = field(default_factory=list)
    skipped: str = ""


def measure(
    connection: Connection,
    projections: Sequence[Projection],
    schema: str,
    *,
    beside: Sequence[Projection] = (),
    seconds: float,
) -> list[WriterCosts]:
    """The costs of all tables of these projections, each once; none is begun after so many `seconds`.

    What the projections `beside` them have of these tables' triggers is in it. `schema` is that of the
    outbox. Nothing is left of it.
    """
    tables = list(dict.fromkeys(one.of.table for each in projections for one in watched(each)))
    if names := connection.execute(EVENT_TRIGGERS).scalar():
        why = f"event triggers would run for the copies: {brief(str(names), 200)}"
        return [WriterCosts(table, skipped=why) for table in tables]
    try:
        with undone(connection):
            limit = int(SECONDS * 1_000)
            connection.exec_driver_sql(
                f"SET LOCAL statement_timeout = {limit}; {SHORT_LOCK_TIMEOUT}; SET LOCAL row_security = off"
            )
            return _measured(connection, watched_tables([*projections, *beside], tables), schema, seconds)
    except UsageError as error:
        return [WriterCosts(table, skipped=str(error)) for table in tables]


def _measured(
    connection: Connection, tables: Sequence[WatchedTable], schema: str, seconds: float
) -> list[WriterCosts]:
    copies = [_copies(connection, each.table, number) for number, each in enumerate(tables)]
    like = SQL(EVENTS_COPY).format(copy=Identifier(EVENTS), table=Identifier(schema, EVENTS))
    one_statement(connection, like.as_string())
    temporary = str(connection.execute(TEMPORARY_SCHEMA).scalar_one())
    watch = [
        replace(each, table=Relation(temporary, copy.watched))
        for each, copy in zip(tables, copies, strict=True)
    ]
    rows = catalog.row_level(connection, [each.table for each in watch])
    if watch:
        one_statement(connection, Triggers(watch, temporary, rows).sql(""))
    until, pairs = monotonic() + seconds, zip(copies, tables, strict=True)
    return [_of_table(connection, copy, each.names or None, until) for copy, each in pairs]


def _copies(connection: Connection, table: Relation, number: int) -> TableCopies:
    """The copies of a table, the `number`th of this transaction. Raises UsageError where it is refused."""
    if called := connection.execute(CALLED, of(table)).scalar():
        raise UsageError(f"copies of {table} would call what others own: {brief(called, 200)}")
    bare, watched, rows = (f"outbox_{what}_{number}" for what in ("bare", "watched", "rows"))
    partitions = connection.execute(PARTITIONS, of(table)).scalar()
    for each in (bare, watched):
        copy, by = _temporary(each), SQL(f"PARTITION BY {partitions}" if partitions else "")
        made = SQL(COPY).format(copy=copy, table=Identifier(table.schema, table.name), partitions=by)
        one_statement(connection, made.as_string())
        if partitions:
            part = _temporary(f"{each}_default")
            one_statement(connection, SQL(DEFAULT).format(part=part, copy=copy).as_string())
    free = {str(column): bool(alike) for column, alike in connection.execute(COLUMNS, of(table))}
    sampled, end = sample(connection, table, "t", ROWS)
    sizes = (SQL("coalesce(pg_column_size({}), 0)::int8").format(Identifier(each)) for each in free)
    filling = SQL(FILLED).format(
        rows=_temporary(rows),
        columns=_listed([*free]),
        size=SQL(" + ").join(sizes),
        sampled=sampled,
        end=end,
        bytes=SQL(str(BYTES)),
    )
    filled = one_statement(connection, filling.as_string()).rowcount
    return TableCopies(table, bare, watched, rows, free, int(filled))


def _temporary(name: str) -> Identifier:
    return Identifier("pg_temp", name)


def _listed(columns: Sequence[str]) -> Composed:
    return SQL(", ").join(map(Identifier, columns))


def _of_table(
    connection: Connection, copy: TableCopies, used: Collection[str] | None, until: float
) -> WriterCosts:
    if copy.number < FEWEST_ROWS or monotonic() > until:
        why = NO_ROWS if copy.number < FEWEST_ROWS else "the time is over"
        return WriterCosts(copy.table, copy.number, skipped=why)
    bare, watched = (dict(_statements(copy, each, used)) for each in (copy.bare, copy.watched))
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in bare}
    try:
        with undone(connection):
            for number in range(ROUNDS):
                if number >= FEWEST and monotonic() > until:
                    break
                for what, times in found.items():
                    times.append((_timed(connection, bare[what]), _timed(connection, watched[what])))
    except UsageError as error:
        return WriterCosts(copy.table, copy.number, skipped=str(error))
    quickest = {what: map(min, zip(*times[1:], strict=True)) for what, times in found.items()}
    statements = [
        WrittenRows(what, *(round(each * 1_000 / copy.number, 1) for each in both))
        for what, both in quickest.items()
    ]
    return WriterCosts(copy.table, copy.number, statements)


def _statements(copy: TableCopies, on: str, used: Collection[str] | None) -> Iterator[tuple[str, Composed]]:
    """Each leaves what the next one needs; the last one leaves nothing."""
    parts = {"copy": _temporary(on), "rows": _temporary(copy.rows), "columns": _listed([*copy.columns])}
    free = [name for name, alike in copy.columns.items() if alike]
    yield "INSERT", SQL(INSERT).format(**parts)
    if own := [each for each in free if used is None or each in used]:
        yield "UPDATE", SQL(UPDATE).format(**parts, changed=_listed(own))
    if other := [each for each in free if used is not None and each not in used]:
        yield "UPDATE unused", SQL(OTHER).format(**parts, column=_listed(other[:1]))
    yield "DELETE", SQL(DELETE).format(**parts)


def _timed(connection: Connection, statement: Composed) -> float:
    plan = one_statement(connection, EXPLAIN + statement.as_string()).fetchone()[0]
    return float(plan[0]["Execution Time"])
