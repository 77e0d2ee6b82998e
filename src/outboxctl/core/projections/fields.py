"""The columns of a table or view, with what keys and mappings depend on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from outboxctl.core.projections.catalog import RELATION, look_up
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.kept import kept
from outboxctl.domain.projection import Relation

# A qualified name of a type; PostgreSQL's own need no quotes after their schema.
TYPE_NAME = """CASE WHEN {n}.nspname = 'pg_catalog' AND {t}.typname ~ '^[a-z0-9_]+$'
    THEN concat('pg_catalog.', {t}.typname) ELSE format('%I.%I', {n}.nspname, {t}.typname) END"""
# What becomes a JSON object is `json`: a row, of a type (`c`) or of none (`p`), and what is cast to json.
KIND = """CASE WHEN t.typtype = 'e' THEN 'enum' WHEN t.typtype IN ('c', 'p') OR EXISTS (
    SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = 'json'::regtype)
    THEN 'json' ELSE t.typname::text END"""
ROW = """(SELECT ARRAY[b.nspname, s.relname]::text[]
    FROM pg_class s JOIN pg_namespace b ON b.oid = s.relnamespace WHERE s.oid = t.typrelid)"""
# A domain is the type beneath it, an array that of its elements.
IS_MORE = "t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0"
NEXT = "CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END"
# Looked up one by one: a database of many tables has a type or two for each, which a join would read all of.
TYPE = "CROSS JOIN LATERAL (SELECT * FROM pg_type WHERE oid = l.type OFFSET 0) t"
# Of a partitioned table, whose partitions may compute a virtual column (PostgreSQL 18) from others, those of
# all partitions. NOT NULL of a domain does not count: an outer join may put NULL into such a column all the
# same.
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
    SELECT a.attnum, a.attname, a.attnotnull, a.attcollation, a.atttypid AS type, a.atttypmod AS modifier,
        false AS listed
    FROM {RELATION} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT l.attnum, l.attname, l.attnotnull, l.attcollation,
        {NEXT}, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE l.modifier END, l.listed OR t.typtype <> 'd'
    FROM leaf l {TYPE} WHERE {IS_MORE}
)
SELECT l.attname::text, {TYPE_NAME.format(n="n", t="t")}, {KIND},
    l.attnotnull, coalesce(c.collisdeterministic, true), l.listed, v.columns, l.modifier, {ROW}
FROM leaf l {TYPE} JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_collation c ON c.oid = l.attcollation LEFT JOIN computed v ON v.attname = l.attname
WHERE NOT ({IS_MORE})
ORDER BY l.attnum
""")
TYPES = text(f"""
WITH RECURSIVE leaf (oid, type) AS (
    SELECT oid, oid FROM unnest(CAST(:oids AS oid[])) oid
    UNION ALL SELECT l.oid, {NEXT} FROM leaf l {TYPE} WHERE {IS_MORE}
)
SELECT l.oid::bigint, {KIND}, {ROW} FROM leaf l {TYPE} WHERE NOT ({IS_MORE})
""")


@dataclass(frozen=True)
class Field:
    """A column. `type` is for an SQL cast (`pg_catalog.int8`), that of the elements where it is `listed`.

    `kind` is the bare name of that type, `enum` for any enum, `json` for whatever becomes a JSON object.
    `computed`: of a virtual generated column, which no trigger can read, those that it is computed from.
    `modifier` is that of the type (the dimensions of a vector), -1 without one. `row`: of a row type what
    `fields` has the columns of.
    """

    name: str
    type: str
    kind: str
    not_null: bool
    deterministic: bool
    listed: bool
    computed: Sequence[str] | None = None
    modifier: int = -1
    row: Relation | None = None


@kept
def fields(connection: Connection, relation: Relation) -> list[Field]:
    """The columns in their order; none where there is no such table or view."""
    rows = look_up(connection, FIELDS, relation)
    return [replace(Field(*columns), row=_relation(row)) for *columns, row in rows]


class Type(NamedTuple):
    """What a value becomes in JSON: `kind` and `row` as `Field` has them."""

    kind: str
    row: Relation | None


def types(connection: Connection, oids: Iterable[int]) -> dict[int, Type]:
    """The types of these oids; of a list that of its elements."""
    rows = connection.execute(TYPES, {"oids": [*{*oids}]})
    return {oid: Type(kind, _relation(row)) for oid, kind, row in rows}


def _relation(row: Sequence[str] | None) -> Relation | None:
    return Relation(*row) if row else None


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
