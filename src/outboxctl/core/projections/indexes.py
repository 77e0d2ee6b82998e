"""How rows are found by some of their columns: unique keys, indexes, and how many rows one value has."""

from collections.abc import Sequence
from typing import NamedTuple

from outboxctl.core.projections.catalog import RELATION, look_up, of
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.kept import kept
from outboxctl.domain.projection import Relation

# The names of an index's plain columns in its order, NULL for an expression. Columns that are only included
# are not part of the key.
KEY = """ARRAY(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) place
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place] AND a.attnum > 0
    ORDER BY place)"""
# With a condition: of the rows that a view takes by the same one it is unique, too.
UNIQUE = text(f"""
SELECT k.names, i.indisprimary, i.indpred IS NOT NULL
FROM {RELATION} JOIN pg_index i ON i.indrelid = c.oid, LATERAL (SELECT {KEY} AS names) k
WHERE i.indisunique AND i.indisvalid AND array_position(k.names, NULL) IS NULL ORDER BY i.indexrelid
""")
# Of a partitioned table the rows are those of its partitions, and its own statistics are `inherited`. A
# negative n_distinct is a share of the rows; a table that was never analyzed has a negative number of rows.
MOST = text(f"""
WITH rows AS (
    SELECT sum(p.reltuples)::float8 AS number FROM {RELATION}, pg_class p
    WHERE p.reltuples >= 0 AND p.relkind <> 'p'
        AND (p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_partition_tree(c.oid::regclass)))
), each AS (
    SELECT DISTINCT ON (s.attname) s.attname, greatest(
        coalesce(s.most_common_freqs[1], 0) * number,
        number / greatest(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * number ELSE s.n_distinct END, 1)
    ) AS most FROM pg_stats s, rows
    WHERE s.schemaname = CAST(:schema AS text) AND s.tablename = CAST(:name AS text)
        AND s.attname = ANY (CAST(:columns AS text[]))
    ORDER BY s.attname, s.inherited DESC
)
SELECT round(min(most))::bigint FROM each
""")
CREATE = text(f"""
SELECT format('CREATE INDEX %sON %I.%I (%s)', CASE WHEN c.relkind <> 'p' THEN 'CONCURRENTLY ' END,
    n.nspname, c.relname, (SELECT string_agg(quote_ident(name), ', ' ORDER BY place)
        FROM unnest(CAST(:columns AS text[])) WITH ORDINALITY u (name, place)))
FROM {RELATION}
""")
# An index with a condition finds the rows that meet it, one of another kind finds no equal values.
BEGINS = text(f"""
SELECT EXISTS (
    SELECT FROM {RELATION} JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
    JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam AND m.amname IN ('btree', 'hash')
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE a.attname = ANY (CAST(:columns AS text[])))
""")
# The partitions that hold the rows of a partitioned table.
LEAVES = text(f"""
SELECT n.nspname::text, c.relname::text FROM pg_partition_tree((SELECT c.oid FROM {RELATION})) t
JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.isleaf AND c.relkind = 'r' ORDER BY 1, 2
""")
PARTITIONS = 10  # of a table; with more, the statement for the table makes them, and locks out writers


class UniqueKey(NamedTuple):
    """The columns of a unique index in its order; `partial`: it has a condition."""

    columns: tuple[str, ...]
    primary: bool
    partial: bool


class MissingIndex(NamedTuple):
    """What reads a table as a whole (`reading a document`), how it looks for rows, and SQL of an index."""

    what: str
    table: Relation
    columns: tuple[str, ...]
    sql: tuple[str, ...]


def finds(connection: Connection, relation: Relation, columns: Sequence[str]) -> bool:
    """Whether an index of all rows begins with one of these columns, that of each partition if need be."""
    if _begins(connection, relation, columns):
        return True
    parts = _leaves(connection, relation)
    return bool(parts) and all(_begins(connection, each, columns) for each in parts)


def create_sql(connection: Connection, relation: Relation, columns: Sequence[str]) -> list[str]:
    """The statements that make an index on these columns.

    Of a partitioned table the last one takes the indexes that the others have made without a lock.
    """
    lacking = [each for each in _leaves(connection, relation) if not _begins(connection, each, columns[:1])]
    tables = [*(lacking if len(lacking) <= PARTITIONS else ()), relation]
    given = {"columns": list(columns)}
    return [str(connection.execute(CREATE, of(table) | given).scalar_one()) for table in tables]


def _begins(connection: Connection, relation: Relation, columns: Sequence[str]) -> bool:
    return bool(look_up(connection, BEGINS, relation, columns)[0][0])


def _leaves(connection: Connection, relation: Relation) -> list[Relation]:
    """None of a table that is not partitioned."""
    found = [Relation(*row) for row in look_up(connection, LEAVES, relation)]
    return [] if found == [relation] else found


@kept
def unique(connection: Connection, relation: Relation) -> list[UniqueKey]:
    """The valid unique indexes on columns alone."""
    return [UniqueKey(tuple(names), *flags) for names, *flags in look_up(connection, UNIQUE, relation)]


def most_rows(connection: Connection, relation: Relation, names: Sequence[str]) -> int:
    """About how many rows the most frequent value of these columns has; 0 without statistics."""
    return int(connection.execute(MOST, {**of(relation), "columns": [*names]}).scalar() or 0)


def primary_key(connection: Connection, relation: Relation) -> tuple[str, ...]:
    """The columns of the primary key; none where there is none."""
    return next((each.columns for each in unique(connection, relation) if each.primary), ())


def is_unique(connection: Connection, relation: Relation, names: Sequence[str]) -> bool:
    """Whether exactly these columns, in any order, have a unique index of the whole table.

    Whether they may be NULL, `fields` says.
    """
    keys = (each for each in unique(connection, relation) if not each.partial)
    return any({*each.columns} == {*names} for each in keys)
