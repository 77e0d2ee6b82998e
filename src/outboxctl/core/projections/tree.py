"""A document as a tree of tables, tied by foreign keys: what `projection init` writes a SELECT of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

# Of a partition those of the table that it is a part of: they have copies of their parents' foreign keys, or
# each has its own.
FOREIGN_KEYS = text("""
SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY place),
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY place)
FROM pg_constraint k
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY cn.nspname, c.relname, k.conname
""")


class Step(NamedTuple):
    """From one table to another by a foreign key, in either direction: equal values in these columns."""

    here: Relation
    columns: tuple[str, ...]
    there: Relation
    their_columns: tuple[str, ...]

    def back(self) -> "Step":
        """The same in the other direction."""
        return Step(self.there, self.their_columns, self.here, self.columns)


@dataclass(frozen=True)
class Value:
    """A value of a row: a column, or what is at a `path` of JSON operators in it, with texts replaced.

    With `joined` it is a text of values, of nested ones and of fixed texts, with a `delimiter` between them.
    `kind` and `listed` are those of `fields.Field`.
    """

    column: str = ""
    kind: str = ""
    listed: bool = False
    path: tuple[tuple[str, str | int], ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    joined: tuple["Value | NestedRows | str", ...] = ()
    delimiter: str = ""


@dataclass
class NestedRows:
    """Rows of one table in a document: the row of the document itself, or what is nested at `label`.

    `steps` lead from the table to that of the node above: one foreign key, two through a table between them.
    `many`: an array of objects, else one object; `scalar`: of the first value instead. `order` are columns
    by which rows are ordered. `single`: at most one row can match. `mapping` are fields of the index that
    somebody has declared.
    """

    table: Relation
    label: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    many: bool = False
    scalar: bool = False
    single: bool = True
    order: tuple[str, ...] = ()
    mapping: dict[str, Any] = field(default_factory=dict)
    children: list["NestedRows"] = field(default_factory=list)

    def tables(self) -> Iterator[Relation]:
        """The tables below the root, each as often as it is read."""
        joined = (part for value in self.values.values() for part in value.joined)
        for child in (*self.children, *(part for part in joined if isinstance(part, NestedRows))):
            yield from (step.here for step in child.steps)
            yield from child.tables()


def constraints(connection: Connection) -> list[Step]:
    """All foreign keys, from the table that has it to the one that it names; two on the same columns once."""
    rows = connection.execute(FOREIGN_KEYS)
    steps = [Step(Relation(*row[:2]), tuple(row[4]), Relation(*row[2:4]), tuple(row[5])) for row in rows]
    return list(dict.fromkeys(steps))
