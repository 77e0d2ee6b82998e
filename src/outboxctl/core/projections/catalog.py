"""What PostgreSQL's catalog says about the tables and views that a declaration names.

Facts of one relation; `dependencies` says what a view reads, `foreign_keys` what leads to a root, `indexes`
how rows are found.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.domain.projection import Relation

PART = r'(?:"(?:[^"\x00]|"")+"|[^\W\d][\w$]*)'
QUALIFIED = re.compile(rf"\s*({PART})\s*(?:\.\s*({PART})\s*)?")


class Kind(StrEnum):
    """What can be read, by `pg_class.relkind`."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN_TABLE = "f"


@dataclass(frozen=True)
class Column:
    """A column: its type without a domain around it and without a length, as a name that an SQL cast takes.

    `category` is `pg_type.typcategory`: `N` for numbers, `S` strings, `E` enums, `D` times, `A` arrays.
    `element` is the type of an array's elements, empty for others. `deterministic`: equal texts have the same
    bytes.
    """

    name: str
    type: str
    category: str
    nullable: bool
    deterministic: bool
    element: str = ""


OF = (
    "c.relname = CAST(:name AS text) AND n.nspname = CAST(:schema AS text)"  # text: a name would be truncated
)
RELATION = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND {OF}"
KIND = text(f"SELECT c.relkind::text FROM {RELATION} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')")
# A qualified name of a type; PostgreSQL's own need no quotes after their schema.
TYPE_NAME = """CASE WHEN {n}.nspname = 'pg_catalog' AND {t}.typname ~ '^[a-z0-9_]+$'
    THEN concat('pg_catalog.', {t}.typname) ELSE format('%I.%I', {n}.nspname, {t}.typname) END"""
COLUMNS = text(f"""
WITH RECURSIVE base (num, type, not_null) AS (
    SELECT a.attnum, a.atttypid, a.attnotnull FROM {RELATION}
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT num, t.typbasetype, not_null OR t.typnotnull FROM base
    JOIN pg_type t ON t.oid = base.type AND t.typtype = 'd'
)
SELECT a.attname::text AS name, {TYPE_NAME.format(n="tn", t="t")} AS type, t.typcategory::text AS category,
    NOT b.not_null AS nullable, coalesce(l.collisdeterministic, true) AS deterministic,
    CASE WHEN t.typcategory = 'A' AND e.oid IS NOT NULL THEN {TYPE_NAME.format(n="en", t="e")} ELSE '' END
        AS element
FROM {RELATION} JOIN pg_attribute a ON a.attrelid = c.oid
JOIN base b ON b.num = a.attnum JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_type e ON e.oid = t.typelem LEFT JOIN pg_namespace en ON en.oid = e.typnamespace
ORDER BY a.attnum
""")
# Rows of a partition arrive by its parent, too, for which no trigger of a statement on the partition fires.
ROW_LEVEL = text(f"SELECT FROM {RELATION} WHERE c.relkind = 'p' OR c.relispartition")
ALL = text("""
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1 LIMIT 10000
""")


def names(connection: Connection) -> list[str]:
    """The names of tables and views as SQL has them, at most 10,000."""
    return [str(name) for name in connection.execute(ALL).scalars()]


def resolve(connection: Connection, name: str) -> Relation | None:
    """The relation of a name as SQL has it; without a schema that of `public`. None where there is none.

    A name without quotes is in small letters. Raises ValueError for a text that is no name.
    """
    relation = parse(name)
    return relation if kind(connection, relation) else None


def parse(name: str) -> Relation:
    """Schema and name of what SQL calls so, there or not. Raises ValueError for a text that is no name."""
    match = QUALIFIED.fullmatch(name)
    if not match:
        raise ValueError(f"not the name of a table or view: {name[:200]!r}")
    first, second = match.groups()
    return Relation(_plain(first), _plain(second)) if second else Relation("public", _plain(first))


def _plain(part: str) -> str:
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    # Of other letters than these PostgreSQL changes none where a letter has several bytes.
    return "".join(letter.lower() if letter.isascii() else letter for letter in part)


def kind(connection: Connection, relation: Relation) -> Kind | None:
    """What the relation is; None where there is none that can be read."""
    found = connection.execute(KIND, of(relation)).scalar()
    return Kind(found) if found else None


def columns(connection: Connection, relation: Relation) -> list[Column]:
    """The columns in their order; none where there is no such relation."""
    return [Column(*row) for row in connection.execute(COLUMNS, of(relation))]


def row_level(connection: Connection, tables: Collection[Relation]) -> set[Relation]:
    """Those of the tables that need triggers for each row: they are partitioned, or a partition."""
    return {table for table in tables if connection.execute(ROW_LEVEL, of(table)).first() is not None}


def of(relation: Relation) -> dict[str, Any]:
    """The parameters of a statement with RELATION."""
    return {"schema": relation.schema, "name": relation.name}
