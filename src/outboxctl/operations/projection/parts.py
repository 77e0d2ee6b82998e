"""The parts of a projection whose documents have a column that chooses their index: one part an index.

A part is an ordinary projection of one index, with the rows of one value. So whatever compares, fills or
examines an index does so for each part, and knows nothing of the others.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from outboxctl.core.projections import pages
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.index_names import BRACES, may_meet
from outboxctl.domain.projection import Projection, shown_value
from outboxctl.sink.index import alias
from outboxctl.sink.index.index_setup import exists
from outboxctl.sink.transport.client import Client

MOST = 1_000  # indexes of one projection: an engine has a limit of as many shards a node
TOO_MANY = "{column} has more than {most:,} values in {view}: no engine is made for as many indexes"
NOWHERE = "rows are in no index, for their {column} makes no name of one: {values}"
FEWER = "choose a column with fewer values, or keep the documents in one index, with `routing`"


@dataclass(frozen=True)
class Parts:
    """What a projection consists of, by index.

    `nowhere`: values of rows of which no index can be made; `foreign`: indexes of rows that are somebody
    else's.
    """

    found: list[Projection]
    nowhere: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def parts(connection: Connection, client: Client, projection: Projection) -> Parts:
    """One for each value of a row, and for each index that is there: no row may have its value any more.

    Of a projection of one index itself. Raises UsageError for more values than MOST, ReadRefusedError for a
    view that cannot be read, and what the engine's answer raises.
    """
    if not projection.parted:
        return Parts([projection])
    with undone(connection):
        values = pages.values(connection, projection, MOST + 1)
    if len(values) > MOST:
        text = TOO_MANY.format(column=projection.column, most=MOST, view=projection.document)
        raise UsageError(text, hint=FEWER)
    named = {each.index: each for each in there(client, projection)}
    new, nowhere = _of_values(projection, values)
    foreign = [index for index in new if index not in named and exists(client, index)]
    named |= {index: part for index, part in new.items() if index not in foreign}
    return Parts([named[index] for index in sorted(named)], nowhere, foreign)


def _of_values(
    projection: Projection, values: Iterable[str | None]
) -> tuple[dict[str, Projection], list[str]]:
    """The parts of these values by index, and the values of which none can be made."""
    found, nowhere = dict[str, Projection](), list[str]()
    for value in sorted(values, key=lambda each: (each is not None, each)):
        try:
            part = projection.of(value)
        except ValueError:
            nowhere.append(shown_value(value))
        else:
            found[part.index] = part
    return found, nowhere


def there(client: Client, projection: Projection) -> list[Projection]:
    """Those whose index is there, whether or not a row has its value; no database is asked."""
    if not projection.parted:
        return [projection]
    names = alias.written(client, projection.everywhere, projection.name)
    return [*_of(projection, sorted(names))]


def _of(projection: Projection, names: Iterable[str]) -> Iterator[Projection]:
    before, after = BRACES.split(projection.index)
    for name in names:
        if may_meet(projection.index, name):
            with suppress(ValueError):  # a name that no value makes
                yield projection.of(name[len(before) : len(name) - len(after)])
