"""What a statement returned: rows, or single values, or how many rows it changed."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg


class Row(tuple[Any, ...]):
    """A row: a tuple whose values can also be read by the names of their columns."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def _asdict(self) -> dict[str, Any]:
        """The values by the names of their columns."""
        return dict(zip(self._fields, self, strict=True))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


@lru_cache(512)
def row_class(columns: tuple[str, ...]) -> type[Row]:
    """The class of rows with these columns."""
    values = {name: property(itemgetter(place)) for place, name in enumerate(columns)}
    return type("Row", (Row,), {"__slots__": (), **values, "_fields": columns})


class Scalars(list[Any]):
    """The first value of each row."""

    def all(self) -> list[Any]:
        """The values."""
        return self


class Result:
    """The result of one statement; rows can be read once."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows were returned or changed."""
        return self._cursor.rowcount

    def __iter__(self) -> Iterator[Row]:
        """The rows; of a cursor of the server as they are fetched."""
        yield from map(self._row_class(), self._values())
        self._cursor.close()

    def partitions(self, size: int) -> Iterator[list[Row]]:
        """The rows, so many at once."""
        rows = iter(self)
        while some := list(islice(rows, size)):
            yield some

    def all(self) -> list[Row]:
        """All rows."""
        return list(self)

    def first(self) -> Row | None:
        """The first row; None where there is none."""
        return next(iter(self), None)

    def one_or_none(self) -> Row | None:
        """The only row; None where there is none. Raises psycopg.Error where there are several."""
        rows = self.all()
        if len(rows) > 1:
            raise psycopg.ProgrammingError(f"one row was expected, and there are {len(rows)}")
        return rows[0] if rows else None

    def one(self) -> Row:
        """The only row. Raises psycopg.Error where there is another number of them."""
        if (row := self.one_or_none()) is None:
            raise psycopg.ProgrammingError("one row was expected, and there is none")
        return row

    def scalar(self) -> Any:
        """The first value of the first row; None where there is no row."""
        row = self._cursor.fetchone()
        return row[0] if row else None

    def scalar_one(self) -> Any:
        """The first value of the only row. Raises psycopg.Error where there is another number of rows."""
        return self.one()[0]

    def scalars(self) -> Scalars:
        """The first value of each row."""
        return Scalars(map(itemgetter(0), self._values()))

    def _values(self) -> Iterable[tuple[Any, ...]]:
        return self._cursor if isinstance(self._cursor, psycopg.ServerCursor) else self._cursor.fetchall()

    def _row_class(self) -> type[Row]:
        described = self._cursor.description or ()
        return row_class(tuple(column.name for column in described))
