"""A document as a tree of tables: what `projection init` writes a SELECT of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from outboxctl.core.projections.foreign_keys import Step
from outboxctl.domain.projection import Relation


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
