"""What a writer has to find out of tables that somebody else made: columns, keys, foreign keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

# A partition's rows are written through its root, and by its own name.
COLUMNS = """
SELECT c.oid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod), t.typtype::text = 'e',
    NOT a.attnotnull, coalesce(a.attnum = ANY (p.conkey), false), a.atthasdef OR a.attidentity <> ''
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
WHERE c.relnamespace = CAST(%s AS regnamespace) AND c.relkind IN ('r', 'p')
    AND a.attgenerated = '' AND a.attidentity <> 'a'
ORDER BY c.relname, a.attnum
"""
REFERENCES = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
    ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute ON attrelid = k.conrelid AND attnum = num ORDER BY place),
    ARRAY(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute ON attrelid = k.confrelid AND attnum = num ORDER BY place)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND (k.conparentid = 0 OR c.relispartition)
    AND k.connamespace = CAST(%s AS regnamespace) ORDER BY k.conname
"""


@dataclass(frozen=True)
class Column:
    """A column that may be written: `type` as PostgreSQL formats it."""

    name: str
    type: str
    enum: bool
    nullable: bool
    keyed: bool
    default: bool


@dataclass(frozen=True)
class Reference:
    """A foreign key: these columns hold those of a row of `table`."""

    columns: Sequence[str]
    table: str
    theirs: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table by its qualified name, as SQL has it."""

    name: str
    columns: Sequence[Column]
    references: Sequence[Reference]

    @property
    def key(self) -> list[str]:
        """The columns of its primary key."""
        return [each.name for each in self.columns if each.keyed]

    def reference_of(self, column: str) -> Reference | None:
        """The foreign key that the column is part of."""
        return next((each for each in self.references if column in each.columns), None)


def tables(sql: psycopg.Connection, schema: str) -> list[Table]:
    """All tables of a schema, by name."""
    columns: dict[str, list[Column]] = {}
    for name, *facts in sql.execute(COLUMNS, [schema]):
        columns.setdefault(name, []).append(Column(*facts))
    references: dict[str, list[Reference]] = {}
    rows: list[tuple[Any, ...]] = sql.execute(REFERENCES, [schema]).fetchall()
    for name, table, own, theirs in rows:
        references.setdefault(name, []).append(Reference(own, table, theirs))
    return [Table(name, found, references.get(name, [])) for name, found in columns.items()]
