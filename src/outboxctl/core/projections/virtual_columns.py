"""Virtual generated columns (PostgreSQL 18), which no trigger can read, and what they are computed from."""

from collections.abc import Iterable

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

# Of a partitioned table, whose partitions may compute such a column from others, those of all partitions.
VIRTUAL = text(f"""
WITH RECURSIVE family (oid) AS (
    SELECT c.oid FROM {RELATION}
    UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
)
SELECT a.attname::text,
    coalesce(array_agg(DISTINCT b.attname::text) FILTER (WHERE b.attname IS NOT NULL), '{{}}')
FROM family f JOIN pg_attribute a ON a.attrelid = f.oid AND a.attgenerated = 'v' AND NOT a.attisdropped
JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
LEFT JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
LEFT JOIN pg_attribute b ON b.attrelid = d.refobjid AND b.attnum = d.refobjsubid AND b.attnum <> a.attnum
GROUP BY a.attname
""")


def virtual(connection: Connection, table: Relation) -> dict[str, list[str]]:
    """The virtual generated columns of a table, each with the columns that it is computed from."""
    return {name: list(columns) for name, columns in connection.execute(VIRTUAL, of(table))}


def stored(connection: Connection, table: Relation, names: Iterable[str]) -> frozenset[str]:
    """These columns, with what they are computed from instead of virtual generated ones."""
    computed = virtual(connection, table)
    return frozenset(column for name in names for column in computed.get(name, [name]))
