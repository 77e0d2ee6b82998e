"""The columns of a table or view, with what keys and mappings depend on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

# A qualified name of a type; PostgreSQL's own need no quotes after their schema.
TYPE_NAME = """CASE WHEN {n}.nspname = 'pg_catalog' AND {t}.typname ~ '^[a-z0-9_]+$'
    THEN concat('pg_catalog.', {t}.typname) ELSE format('%I.%I', {n}.nspname, {t}.typname) END"""
# Of a partitioned table, whose partitions may compute a virtual column (PostgreSQL 18) from others, those of
# all partitions. A domain is the type beneath it, an array that of its elements. NOT NULL of a domain does
# not count: an outer join may put NULL into such a column all the same.
FIELDS = text(f"""
WITH RECURSIVE family (oid) AS (
    SELECT c.oid FROM {RELATION}
    UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
), computed AS (
    SELECT a.attname, coalesce(array_agg(DISTINCT b.attname::text) FILTER (WHERE b.attname IS NOT NULL),
        '{{}}') AS columns
    FROM family f JOIN pg_attribute a ON a.attrelid = f.oid AND a.attgenerated = 'v' AND NOT a.attisdropped
    JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    LEFT JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
    LEFT JOIN pg_attribute b ON b.attrelid = d.refobjid AND b.attnum = d.refobjsubid AND b.attnum <> a.attnum
    GROUP BY a.attname
), leaf AS (
    SELECT a.attnum, a.attname, a.attnotnull, a.attcollation, a.atttypid AS type, false AS listed
    FROM {RELATION} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT l.attnum, l.attname, l.attnotnull, l.attcollation,
        CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END, l.listed OR t.typtype <> 'd'
    FROM leaf l JOIN pg_type t ON t.oid = l.type
    WHERE t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0
)
SELECT l.attname::text, {TYPE_NAME.format(n="n", t="t")}, CASE t.typtype WHEN 'e' THEN 'enum'
        WHEN 'c' THEN 'json' ELSE CASE WHEN EXISTS (SELECT FROM pg_cast WHERE castsource = t.oid
            AND casttarget = 'json'::regtype) THEN 'json' ELSE t.typname::text END END,
    l.attnotnull, coalesce(c.collisdeterministic, true), l.listed, v.columns
FROM leaf l JOIN pg_type t ON t.oid = l.type JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_collation c ON c.oid = l.attcollation LEFT JOIN computed v ON v.attname = l.attname
WHERE NOT (t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0)
ORDER BY l.attnum
""")


@dataclass(frozen=True)
class Field:
    """A column. `type` is for an SQL cast (`pg_catalog.int8`), that of the elements where it is `listed`.

    `kind` is the bare name of that type, `enum` for any enum, `json` for whatever becomes a JSON object.
    `computed`: of a virtual generated column, which no trigger can read, those that it is computed from.
    """

    name: str
    type: str
    kind: str
    not_null: bool
    deterministic: bool
    listed: bool
    computed: Sequence[str] | None = None


def fields(connection: Connection, relation: Relation) -> list[Field]:
    """The columns in their order; none where there is no such table or view."""
    return [Field(*row) for row in connection.execute(FIELDS, of(relation))]


def virtual(columns: Iterable[Field]) -> dict[str, Sequence[str]]:
    """Those that are virtual generated columns, each with the columns that it is computed from."""
    return {each.name: each.computed for each in columns if each.computed is not None}


def stored(columns: Iterable[Field], names: Iterable[str]) -> frozenset[str]:
    """The columns of these names, with what they are computed from instead of virtual ones."""
    computed = virtual(columns)
    return frozenset(column for name in names for column in computed.get(name, [name]))


def parameter_types(names: Sequence[str], columns: Sequence[Field]) -> dict[str, str]:
    """The types of the parameters of a `keys` query: those of the columns of the changed row.

    KeyError for a name that is no column.
    """
    by_name = {each.name: each.type + ("[]" if each.listed else "") for each in columns}
    return {name: by_name[name] for name in names}
