"""The columns of a table or view, with what keys and mappings depend on."""

from collections.abc import Sequence
from dataclasses import dataclass

from outboxctl.core.projections import dependencies
from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.dependencies import VIEWS
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.projection import Relation

# A qualified name of a type; PostgreSQL's own need no quotes after their schema.
TYPE_NAME = """CASE WHEN {n}.nspname = 'pg_catalog' AND {t}.typname ~ '^[a-z0-9_]+$'
    THEN concat('pg_catalog.', {t}.typname) ELSE format('%I.%I', {n}.nspname, {t}.typname) END"""
# A domain is the type beneath it, an array the type of its elements. NOT NULL of a domain does not count: an
# outer join may put NULL into such a column all the same.
FIELDS = text(f"""
WITH RECURSIVE leaf AS (
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
    l.attnotnull, coalesce(c.collisdeterministic, true), l.listed
FROM leaf l JOIN pg_type t ON t.oid = l.type JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_collation c ON c.oid = l.attcollation
WHERE NOT (t.typtype = 'd' OR t.typcategory = 'A' AND t.typelem <> 0)
ORDER BY l.attnum
""")
# Of a view also what it reads from: views at any depth, and functions that no extension made.
DEFINITION = text(f"""
WITH RECURSIVE {VIEWS}
SELECT md5(concat(pg_get_viewdef(c.oid), (
    SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
), (
    SELECT string_agg(concat(v.oid::regclass, pg_get_viewdef(v.oid)), '; ' ORDER BY v.oid::regclass::text)
    FROM views JOIN pg_class v USING (oid) WHERE v.relkind IN ('v', 'm') AND v.oid <> c.oid
), (
    SELECT string_agg(DISTINCT pg_get_functiondef(p.oid), '; ' ORDER BY pg_get_functiondef(p.oid))
    FROM rules r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid AND p.prokind <> 'a'
    WHERE NOT EXISTS (SELECT FROM pg_depend e
        WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
)))
FROM {RELATION}
""")
# What the text of a definition depends on: names with their schemas, and constants in one form.
PINNED = (
    "SET LOCAL search_path = pg_catalog; SET LOCAL quote_all_identifiers = off; SET LOCAL TimeZone = 'UTC'; "
    "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL bytea_output = 'hex'; "
    "SET LOCAL extra_float_digits = 1"
)


@dataclass(frozen=True)
class Field:
    """A column. `type` is for an SQL cast (`pg_catalog.int8`), that of the elements where it is `listed`.

    `kind` is the bare name of that type, `enum` for any enum, `json` for whatever becomes a JSON object.
    """

    name: str
    type: str
    kind: str
    not_null: bool
    deterministic: bool
    listed: bool


def fields(connection: Connection, relation: Relation) -> list[Field]:
    """The columns in their order; none where there is no such table or view."""
    return [Field(*row) for row in connection.execute(FIELDS, of(relation))]


def definition(connection: Connection, relation: Relation) -> str:
    """A hash of a view's definition, with the views and functions that it uses, and of its columns.

    Also of the columns of tables whose rows it takes as a whole. Of a table that of its columns. Empty if it
    is not there. The same whatever the session has set.
    """
    columns = dependencies.used(connection, relation).items()
    whole = sorted((table for table, names in columns if not names and table != relation), key=str)
    with undone(connection):
        connection.exec_driver_sql(PINNED)
        found = [connection.execute(DEFINITION, of(each)).scalar() or "" for each in (relation, *whole)]
    return "-".join(found)


def parameter_types(names: Sequence[str], columns: Sequence[Field]) -> dict[str, str]:
    """The types of the parameters of a `keys` query: those of the columns of the changed row.

    KeyError for a name that is no column.
    """
    by_name = {each.name: each.type + ("[]" if each.listed else "") for each in columns}
    return {name: by_name[name] for name in names}
