"""What the triggers of projections cost a writer: measured on temporary copies of the tables.

The triggers of the copies write into a temporary copy of the outbox. All of it is rolled back; no permanent
table is written to, and none is locked but as a SELECT does. Temporary tables have no WAL and no commit, so
both figures are smaller than on the tables themselves; their difference is what the triggers add.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from psycopg.sql import SQL, Composed

from outboxctl.core.projections import catalog, table_copies, triggers
from outboxctl.core.projections.scratch import one_statement
from outboxctl.core.projections.table_copies import TableCopy, listed, name
from outboxctl.core.projections.trigger_names import WatchedTable, watched, watched_tables
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, Relation

# At most, where a table's share of the time is enough for more than two. The first is not counted: plans are
# made. The quickest of the others counts: the server was interrupted least.
ROUNDS = 7
FEWEST = 2  # rows, and rounds
NO_ROWS = "it has too few rows of a common size to measure with"
SECONDS = 1.0  # for one statement
INSERT = "INSERT INTO {copy} ({columns}) SELECT {columns} FROM {rows}"
UPDATE = "UPDATE {copy} SET ({changed}) = (SELECT {changed} FROM {rows} ORDER BY md5(ctid::text) LIMIT 1)"
OTHER = "UPDATE {copy} SET {column} = {column}"
DELETE = "DELETE FROM {copy}"
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
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
    """The costs of all tables of these projections, each once, in about `seconds`, and twice that at most.

    What the projections `beside` them have of these tables' triggers is in it. `schema` is that of the
    outbox. Nothing is left of it.
    """
    tables = list(dict.fromkeys(one.table for each in projections for one in watched(each)))
    if names := connection.execute(EVENT_TRIGGERS).scalar():
        why = f"event triggers would run for the copies: {brief(str(names), 200)}"
        return [WriterCosts(table, skipped=why) for table in tables]
    try:
        with undone(connection):
            limit = int(SECONDS * 1_000)
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = 500")
            return _measured(connection, watched_tables([*projections, *beside], tables), schema, seconds)
    except UsageError as error:
        return [WriterCosts(table, skipped=str(error)) for table in tables]


def _measured(
    connection: Connection, tables: Sequence[WatchedTable], schema: str, seconds: float
) -> list[WriterCosts]:
    copies = [table_copies.of_table(connection, each.table, n) for n, each in enumerate(tables)]
    temporary = table_copies.of_events(connection, schema)
    watch = [replace(each, table=copy.watched) for each, copy in zip(tables, copies, strict=True)]
    rows = catalog.row_level(connection, [each.table for each in watch])
    if watch:
        one_statement(connection, triggers.sql("", watch, temporary, rows))
    share, until = seconds / max(1, len(tables)), monotonic() + 2 * seconds
    pairs = zip(copies, tables, strict=True)
    return [_of_table(connection, copy, each.names or None, share, until) for copy, each in pairs]


def _of_table(
    connection: Connection, copy: TableCopy, used: Collection[str] | None, share: float, until: float
) -> WriterCosts:
    if copy.number < FEWEST:
        return WriterCosts(copy.table, copy.number, skipped=NO_ROWS)
    if monotonic() > until:
        return WriterCosts(copy.table, copy.number, skipped="the time is over")
    try:
        with undone(connection):
            rounds = _rounds(connection, copy, used, share)
    except UsageError as error:
        return WriterCosts(copy.table, copy.number, skipped=str(error))
    figures = {what: [_each(rounds, what, n, copy.number) for n in (0, 1)] for what in rounds[0]}
    statements = [WrittenRows(what, *pair) for what, pair in figures.items()]
    return WriterCosts(copy.table, copy.number, statements)


def _rounds(
    connection: Connection, copy: TableCopy, used: Collection[str] | None, share: float
) -> list[dict[str, list[float]]]:
    """The rounds that count, of a table with this share of the time."""
    found: list[dict[str, list[float]]] = []
    until = monotonic() + share
    while len(found) < FEWEST or (len(found) < ROUNDS and monotonic() < until):
        found.append(_round(connection, copy, used))
    return found[1:]


def _each(rounds: Sequence[Mapping[str, Sequence[float]]], what: str, place: int, rows: int) -> float:
    return round(min(one[what][place] for one in rounds) * 1_000 / rows, 1)


def _round(connection: Connection, copy: TableCopy, used: Collection[str] | None) -> dict[str, list[float]]:
    """Milliseconds of each statement, on the bare copy and on that with triggers."""
    both = [dict(_statements(copy, each, used)) for each in (copy.bare, copy.watched)]
    return {what: [_timed(connection, each[what]) for each in both] for what in both[0]}


def _statements(
    copy: TableCopy, on: Relation, used: Collection[str] | None
) -> Iterator[tuple[str, Composed]]:
    """Each leaves what the next one needs; the last one leaves nothing."""
    parts = {"copy": name(on), "rows": name(copy.rows), "columns": listed(copy.columns)}
    yield "INSERT", SQL(INSERT).format(**parts)
    if free := [each for each in copy.columns if each in copy.free and (used is None or each in used)]:
        yield "UPDATE", SQL(UPDATE).format(**parts, changed=listed(free))
    if other := [each for each in copy.columns if each in copy.free and each not in (used or copy.free)]:
        yield "UPDATE unused", SQL(OTHER).format(**parts, column=listed(other[:1]))
    yield "DELETE", SQL(DELETE).format(**parts)


def _timed(connection: Connection, statement: Composed) -> float:
    plan = one_statement(connection, EXPLAIN + statement.as_string()).fetchone()[0]
    return float(plan[0]["Execution Time"])
