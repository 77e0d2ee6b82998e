"""Source rows where one of them may raise: by halves, so that it alone is not read, and has a name."""

from collections.abc import Iterator, Sequence
from functools import partial

from outboxctl.core.database import Database
from outboxctl.core.documents import entities, source_rows
from outboxctl.core.documents.entities import EntityStates, Key, SourceRow
from outboxctl.core.documents.source_rows import ChangedKey, SourceEntity
from outboxctl.core.refused_reads import ReadRefusedError, by_halves

WORDS = "the document cannot be read from its source row: {}"


def state(database: Database, keys: Sequence[Key]) -> EntityStates:
    """As `entities.state`; of several snapshots where a row cannot be read, and its error by id.

    The table is read even without a key: raises OutboxctlError where that is refused.
    """
    rows_now, flying, errors = dict[str, SourceRow](), set[str](), dict[str, str]()
    for some, found in by_halves([keys], partial(_state, database)):
        if isinstance(found, ReadRefusedError):
            errors[_id(some[0])] = WORDS.format(found.words)
            flying |= _in_flight(database, some)
        else:
            rows_now |= found.rows
            flying |= found.in_flight
    return EntityStates(rows_now, flying, errors)


def named(
    database: Database, keys: Sequence[ChangedKey]
) -> Iterator[tuple[Sequence[ChangedKey], list[SourceEntity] | str]]:
    """Entities as they are now, in parts; of one that cannot be read, why."""
    for some, found in by_halves([keys] if keys else [], partial(_named, database)):
        yield some, WORDS.format(found.words) if isinstance(found, ReadRefusedError) else found


def _state(database: Database, keys: Sequence[Key]) -> EntityStates:
    with database.begin() as connection:
        return entities.state(connection, keys)


def _in_flight(database: Database, keys: Sequence[Key]) -> set[str]:
    with database.begin() as connection:
        return entities.in_flight(connection, keys)


def _named(database: Database, keys: Sequence[ChangedKey]) -> list[SourceEntity]:
    with database.begin() as connection:
        return source_rows.named(connection, keys)


def _id(key: Key) -> str:
    return f"{key.entity_type}:{key.entity_id}"
