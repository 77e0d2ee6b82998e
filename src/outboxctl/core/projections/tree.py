"""A document as a tree of tables, tied by foreign keys: what `projection init` writes a SELECT of."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.sql import Identifier, Literal

from outboxctl.core.sql import Connection, text
from outboxctl.domain.printable import brief
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


@dataclass
class NestedRows:
    """Rows of one table in a document: the row of the document itself, or what is nested at `label`.

    `steps` lead from the table to that of the node above: one foreign key, two through a table between them.
    `many`: an array of objects, else one object; `scalar`: of the first column instead. `order` are columns
    by which rows are ordered. `single`: at most one row can match. `notes` become comments.
    """

    table: Relation
    label: str = ""
    columns: list[str] = field(default_factory=list)
    steps: tuple[Step, ...] = ()
    many: bool = False
    scalar: bool = False
    single: bool = True
    order: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    children: list["NestedRows"] = field(default_factory=list)

    def tables(self) -> Iterator[Relation]:
        """The tables below the root, each as often as it is read."""
        for child in self.children:
            yield from (step.here for step in child.steps)
            yield from child.tables()


def constraints(connection: Connection) -> list[Step]:
    """All foreign keys, from the table that has it to the one that it names; two on the same columns once."""
    rows = connection.execute(FOREIGN_KEYS)
    steps = [Step(Relation(*row[:2]), tuple(row[4]), Relation(*row[2:4]), tuple(row[5])) for row in rows]
    return list(dict.fromkeys(steps))


PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
KEYWORDS = text("SELECT word::text FROM pg_get_keywords() WHERE catcode <> 'U'")
MOST_FIELDS = 50  # of one json_build_object: a function has at most 100 arguments
INDENT = "    "
MAX_NOTE_CHARACTERS = 300
LONGEST_ALIAS = 58  # bytes of 63: a number follows


class Writer:
    """Writes SELECTs; `empty`: an array without an element is one, else it is NULL."""

    def __init__(self, connection: Connection, *, empty: bool) -> None:
        self._keywords, self._empty = frozenset(connection.execute(KEYWORDS).scalars()), empty

    def name(self, name: str) -> str:
        """An identifier, in quotes where it needs them."""
        if PLAIN.fullmatch(name) and name not in self._keywords:
            return name
        return Identifier(name).as_string()

    def relation(self, relation: Relation) -> str:
        """A qualified name of a table."""
        return f"{self.name(relation.schema)}.{self.name(relation.name)}"

    def select(self, root: NestedRows) -> str:
        """The SELECT of the documents. A table has its own name, with a number where it recurs."""
        names = Aliases()
        alias = self.name(names.take(root.table))
        values = [f"{alias}.{self.name(column)}" for column in root.columns]
        values += [
            f"{self._nested(child, alias, names, 1)} AS {self.name(child.label)}" for child in root.children
        ]
        columns = f",\n{INDENT}".join(values)
        head = f"\n{INDENT}".join(["SELECT", *_comments(root)])
        return f"{head}\n{INDENT}{columns}\nFROM {self._called(root.table, alias)}"

    def _called(self, table: Relation, alias: str) -> str:
        """A table with its name in the statement, where that is another."""
        own = self.name(table.name) == alias
        return self.relation(table) if own else f"{self.relation(table)} {alias}"

    def _nested(self, node: NestedRows, above: str, names: "Aliases", depth: int) -> str:
        alias = self.name(names.take(node.table))
        order = ", ".join(f"{alias}.{self.name(column)}" for column in node.order)
        element = self._element(node, alias, names, depth + 1)
        if node.many:
            element = f"json_agg({element}{f' ORDER BY {order}' if order else ''})"
            element = f"coalesce({element}, '[]')" if self._empty else element
        tables, condition = self._joined(node, alias, above, names)
        head = ["(", *_comments(node), f"SELECT {element}"] if node.notes else [f"(SELECT {element}"]
        lines = [*head, f"FROM {tables}", f"WHERE {condition}"]
        if not (node.many or node.single):
            lines.append(f"ORDER BY {order or '1'} LIMIT 1")
        return f"\n{INDENT * (depth + 1)}".join(lines) + ")"

    def _element(self, node: NestedRows, alias: str, names: "Aliases", depth: int) -> str:
        if node.scalar:
            return f"{alias}.{self.name(node.columns[0])}"
        pairs = [(column, f"{alias}.{self.name(column)}") for column in node.columns]
        pairs += [(child.label, self._nested(child, alias, names, depth + 1)) for child in node.children]
        return _object(pairs, depth)

    def _joined(self, node: NestedRows, alias: str, above: str, names: "Aliases") -> tuple[str, str]:
        """The tables of a nested node, and the condition that ties them to a row of the node above."""
        first, *others = node.steps
        tables, last, at = self._called(first.here, alias), first, alias
        for step in others:
            link = self.name(names.take(step.here))
            tables += f" JOIN {self._called(step.here, link)} ON {self._equal(last, at, link)}"
            last, at = step, link
        return tables, self._equal(last, at, above)

    def _equal(self, step: Step, here: str, there: str) -> str:
        pairs = zip(step.columns, step.their_columns, strict=True)
        equal = [f"{here}.{self.name(own)} = {there}.{self.name(theirs)}" for own, theirs in pairs]
        return " AND ".join(equal)


class Aliases:
    """The names of tables in one statement, each taken once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, table: Relation) -> str:
        """The table's name, with a number from its second use on."""
        short = table.name.encode()[:LONGEST_ALIAS].decode(errors="ignore")
        numbered = (f"{short}_{number}" for number in range(2, 10_000))
        name = next(each for each in (table.name, *numbered) if each not in self._taken)
        self._taken.add(name)
        return name


def literal(value: str) -> str:
    """A text as SQL."""
    return Literal(value).as_string().strip()


def _comments(node: NestedRows) -> list[str]:
    return [f"-- {brief(note, MAX_NOTE_CHARACTERS)}" for note in node.notes]


def _object(pairs: Sequence[tuple[str, str]], depth: int) -> str:
    """One object; of more fields than a function has arguments for it is joined of several."""
    listed = [f"{literal(label)}, {sql}" for label, sql in pairs]
    if len(listed) <= MOST_FIELDS:
        return _call("json_build_object", listed, depth)
    parts = [listed[at : at + MOST_FIELDS] for at in range(0, len(listed), MOST_FIELDS)]
    return "(" + " || ".join(_call("jsonb_build_object", part, depth) for part in parts) + ")"


def _call(function: str, arguments: Sequence[str], depth: int) -> str:
    if len(arguments) == 1:
        return f"{function}({arguments[0]})"
    lines = f",\n{INDENT * (depth + 1)}".join(arguments)
    return f"{function}(\n{INDENT * (depth + 1)}{lines}\n{INDENT * depth})"
