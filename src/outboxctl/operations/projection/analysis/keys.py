"""The follow of one use of a table: its columns with the document's key, or a query of the keys."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Identifier

from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.chains import Edge, Reach
from outboxctl.operations.projection.analysis.model import Leaf, Use

WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class TableKey(NamedTuple):
    """A table, and those of its columns that hold a key, or that its rows are found by."""

    table: Relation
    columns: tuple[str, ...]


@dataclass(frozen=True)
class KeyPath:
    """How the documents of a changed row are found: by `key`, its columns, or by `keys`, a query.

    `parameters` are the columns that the query takes. `finding` are the look-ups of the query, `reading`
    those from the document to the row.
    """

    key: tuple[str, ...] = ()
    keys: str = ""
    parameters: tuple[str, ...] = ()
    finding: tuple[TableKey, ...] = ()
    reading: tuple[TableKey, ...] = ()


def key_path(reach: Reach, key: Sequence[Leaf]) -> KeyPath | None:
    """How the documents behind a row are found; None where its joins do not lead to their key."""
    # Columns of the row itself that hold a part of the key.
    own = [next(iter(reach.holding(reach.use, leaf)), "") for leaf in key]
    if all(own):
        return KeyPath(key=tuple(own), reading=(TableKey(reach.use.table, tuple(own)),))
    for end in reach.came:
        steps = reach.path(end)
        uses = [step[0].target.use for step in steps]
        columns = [_in(reach, leaf, uses) for leaf in key]
        if all(each or name for each, name in zip(columns, own, strict=True)):
            return _query(steps, columns, own)
    return None


def _in(reach: Reach, leaf: Leaf, uses: Sequence[Use]) -> tuple[int, str] | None:
    """The first table of a path, by its place, with a column that holds this part of the key."""
    for place, use in enumerate(uses, 1):
        for name in reach.holding(use, leaf):
            return place, name
    return None


def _query(
    steps: Sequence[Sequence[Edge]], columns: Sequence[tuple[int, str] | None], own: Sequence[str]
) -> KeyPath:
    """The query; a part of the key that only the row itself has is its parameter."""
    selected = [
        _column(*each) if each else SQL(parameter(name)) for each, name in zip(columns, own, strict=True)
    ]
    first, *others = steps
    names = [edge.source.column for edge in first]
    names += [name for each, name in zip(columns, own, strict=True) if each is None]
    text = SQL("SELECT {keys} FROM {table} t1{joins} WHERE {matches}").format(
        keys=SQL(", ").join(selected),
        table=_table(first[0].target.use),
        joins=SQL("").join(_join(place, step) for place, step in enumerate(others, 2)),
        matches=SQL(" AND ").join(_equal(edge, 0) for edge in first),
    )
    uses = [first[0].source.use, *(step[0].target.use for step in steps)]
    held = [each for each in columns if each]
    last = [TableKey(uses[at].table, tuple(name for place, name in held if place == at)) for at, _ in held]
    return KeyPath(
        keys=text.as_string(),
        parameters=tuple(dict.fromkeys(names)),
        finding=tuple(_lookups([edge.target for edge in step] for step in steps)),
        reading=(*_lookups([edge.source for edge in step] for step in steps), *last),
    )


def _lookups(several: Iterable[Sequence[Leaf]]) -> Iterator[TableKey]:
    """Those of which some column is compared as it is."""
    for leaves in several:
        if columns := tuple(dict.fromkeys(leaf.column for leaf in leaves if leaf.plain)):
            yield TableKey(leaves[0].use.table, columns)


def _join(place: int, step: Sequence[Edge]) -> Composable:
    equal = SQL(" AND ").join(_equal(edge, place - 1) for edge in step)
    return SQL(" JOIN {} {} ON {}").format(_table(step[0].target.use), SQL(f"t{place}"), equal)


def _equal(edge: Edge, place: int) -> Composable:
    """One equality between the tables at a place and at the next; place 0 is the changed row."""
    source, target = _value(edge.source, place), _value(edge.target, place + 1)
    if edge.source.element:
        source, target = target, source  # the array is on the right
    if place == 0 and not (edge.source.element or edge.target.element):
        source, target = target, source
    return SQL("{} {} {}").format(source, SQL(edge.operator), target)


def _value(leaf: Leaf, place: int) -> Composable:
    value: Composable = _column(place, leaf.column) if place else SQL(parameter(leaf.column))
    if leaf.element:
        return SQL("ANY ({})").format(value)
    return SQL("CAST({} AS {})").format(value, SQL(leaf.cast)) if leaf.cast else value


def _table(use: Use) -> Composable:
    return Identifier(use.table.schema, use.table.name)


def _column(place: int, name: str) -> Composable:
    return SQL("{}.{}").format(SQL(f"t{place}"), Identifier(name))


def parameter(name: str) -> str:
    """A column of the changed row in a `keys` query: `:name`, or `:"na:me"` where it is no plain word."""
    return f":{name}" if WORD.fullmatch(name) else f":{Identifier(name).as_string()}"
