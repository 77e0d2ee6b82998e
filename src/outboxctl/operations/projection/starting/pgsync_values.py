"""The columns of a node of pgsync's schema file, as values of the document."""

import re
from collections.abc import Mapping, Sequence

from outboxctl.core.projections.fields import Field
from outboxctl.core.projections.tree import Value
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.problems import Problems

OPERATOR = re.compile(r"(->>|->|#>>|#>)")
AS_TEXT = ("->>", "#>>")
Columns = Mapping[str, Field]


def values(
    place: Place, table: Relation, columns: Columns, names: Sequence[str], problems: Problems
) -> dict[str, Value]:
    """The fields by their names in the document: of these columns, of all if none is named."""
    made = {}
    for name in names or columns:
        with problems.noted():
            label, value = _value(place, table, columns, name)
            made[label] = value
    return made


def _value(place: Place, table: Relation, columns: Columns, name: str) -> tuple[str, Value]:
    if name in columns:
        return name, plain(columns[name])
    column, *path = (part.strip() for part in OPERATOR.split(name))
    followed.check_column(place, column, table, list(columns))
    operators, steps = path[::2], path[1::2]
    if len(operators) != len(steps) or not all((column, *steps)):
        place.fail(f"{shown(name)} is no column with JSON operators")
    kind = "text" if operators[-1] in AS_TEXT else "json"
    pairs = zip(operators, (int(step) if step.isdecimal() else step for step in steps), strict=True)
    label = "_".join((column, *steps)).replace("{", "").replace("}", "")
    return label, Value(column, kind, path=tuple(pairs))


def plain(column: Field) -> Value:
    """A column as it is."""
    return Value(column.name, column.kind, column.listed)
