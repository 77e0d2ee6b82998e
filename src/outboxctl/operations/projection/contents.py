"""The fields in a view's columns of JSON, whose types PostgreSQL knows of the expressions that make them.

And what of its columns no search finds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from outboxctl.core.projections.fields import Field, Type, fields, types
from outboxctl.core.projections.scratch import value_types
from outboxctl.core.sql import Connection
from outboxctl.operations.projection import mapping
from outboxctl.operations.projection.analysis.model import AnalysedView
from outboxctl.operations.projection.analysis.objects import Made, Objects

if TYPE_CHECKING:
    from outboxctl.domain.projection import Relation

Json = dict[str, Any]
MOST = 10_000  # fields: ten times an engine's limit
DEEPEST = 20  # names in a path: an engine's `index.mapping.depth.limit`
NO_MAPPING = "JSON has no mapping by itself"
SEVERAL = "its values are of several types"
TOO_DEEP = f"it is beneath {DEEPEST} objects"
NO_NAME = "an index has no field of such a name"
BOTH = "another name begins with it and a dot, for which it would have to be an object"
# By the kind of a column, and in an object.
NO_DIMENSIONS = "its type does not say how many dimensions it has, as vector(768) does"
SPARSE = "a sparsevec is sent as a text"
TEXT_VECTOR = (
    "in an object a vector is a text: cast it, COLUMN::real[], and declare its field with its dimensions"
)
TOO_MANY = f"there are more than {MOST:,} fields"


class Unknown(NamedTuple):
    """A place in the documents (`reviews.extra`) of which no mapping is known, and why."""

    path: tuple[str, ...]
    why: str


class TooManyError(Exception):
    """More fields than an index can have."""


def contents(
    connection: Connection, columns: Sequence[Field], view: AnalysedView | None
) -> tuple[Json, list[Unknown]]:
    """The mapping's `properties` of what is in columns of JSON, and what is not known of them.

    Of a view that was not understood the fields of row types are known.
    """
    vectors = [Unknown((each.name,), why) for each in columns if (why := _no_vector(each))]
    asked = [each for each in columns if each.kind in mapping.JSON]
    try:
        reader = _Reader(connection)
        objects = Objects(view) if view else None
        made = {each.name: objects.column(each.name) for each in asked if objects and not each.row}
        reader.ask(made)
        for each in asked:
            reader.column(each, made.get(each.name))
    except (TooManyError, RecursionError):
        return {}, [*vectors, *(Unknown((each.name,), TOO_MANY) for each in asked)]
    return reader.properties, [*vectors, *reader.unknown]


def _no_vector(column: Field) -> str:
    """Why no vector search finds a column of pgvector; empty where one does, and of any other column."""
    if column.kind == "sparsevec":
        return SPARSE
    return NO_DIMENSIONS if mapping.is_vector(column) and column.modifier < 1 else ""


class _Reader:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._types: dict[str, Type] = {}
        self._rows: dict[Relation, list[Field]] = {}
        self._count = 0
        self.properties: Json = {}
        self.unknown: list[Unknown] = []

    def ask(self, made: Mapping[str, Made]) -> None:
        """Have PostgreSQL say the types of all values."""
        selects = [*dict.fromkeys(_selects(made.values(), set()))]
        oids = value_types(self._connection, selects) if selects else {}
        known = types(self._connection, oids.values()) if oids else {}
        self._types = {select: known[oid] for select, oid in oids.items() if oid in known}

    def column(self, column: Field, made: Made | None) -> None:
        """Add the fields of a column."""
        path = (column.name,)
        found = self._value(path, made) if made else self._of_type(path, Type(column.kind, column.row))
        self.properties |= {column.name: found} if found else {}

    def _value(self, path: tuple[str, ...], made: Made) -> Json:
        kinds = [self._types.get(each, Type("json", None)) for each in made.values]
        if made.unknown or (made.fields and kinds):
            self._unknown(path, made.unknown or SEVERAL)
        if made.fields and kinds:
            return {}
        if made.fields or not kinds:
            return self._object(path, ((name, each) for name, each in made.fields.items()))
        found = [self._of_type(path, each) for each in dict.fromkeys(kinds)]
        return found[0] if all(each == found[0] for each in found) else self._unknown(path, SEVERAL)

    def _of_type(self, path: tuple[str, ...], of: Type) -> Json:
        if of.row:
            if of.row not in self._rows:
                self._rows[of.row] = fields(self._connection, of.row)
            columns = self._rows[of.row]
            return self._object(path, ((each.name, Type(each.kind, each.row)) for each in columns))
        if of.kind in mapping.VECTORS:
            return self._unknown(path, TEXT_VECTOR)
        return mapping.in_object(of.kind) or self._unknown(path, NO_MAPPING)

    def _object(self, path: tuple[str, ...], parts: "Iterator[tuple[str, Made | Type]]") -> Json:
        found, fields_ = {}, dict(parts)
        begun = {name[:n] for name in fields_ for n, each in enumerate(name) if each == "."}
        for name, each in fields_.items():
            self._count += 1
            if self._count > MOST:
                raise TooManyError
            if name in begun:
                self._unknown((*path, name), BOTH)
            elif field := self._field((*path, name), each):
                found[name] = field
        return {"properties": found} if found else {}

    def _field(self, path: tuple[str, ...], of: Made | Type) -> Json:
        if len(path) > DEEPEST:
            return self._unknown(path, TOO_DEEP)
        if not path[-1].strip() or "." in path[-1]:
            return self._unknown(path, NO_NAME)
        return self._value(path, of) if isinstance(of, Made) else self._of_type(path, of)

    def _unknown(self, path: tuple[str, ...], why: str) -> Json:
        self.unknown.append(Unknown(path, why))
        return {}


def _selects(several: "Sequence[Made] | Any", seen: set[int]) -> Iterator[str]:
    for each in several:
        if id(each) not in seen:
            seen.add(id(each))
            yield from each.values
            yield from _selects(each.fields.values(), seen)
