"""Failed events: by cause, event by event, and one in full with its source row."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any

from outboxctl.core.operator.selection import (
    FAILED_AGAIN,
    MATCHING,
    Selection,
    check_unique,
    resolved,
    select_failed,
)
from outboxctl.core.schema.names import EVENTS, SAFE
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import NO_REASON
from outboxctl.domain.fingerprints import LENGTH, LONGEST, fingerprint, fold
from outboxctl.domain.json_numbers import loads
from outboxctl.domain.lifecycle import PROJECTION

# Equal errors are looked up by their hashes: nearly all may differ, and to sort a hundred thousand texts by
# the rules of a language takes longer than all else. Should PostgreSQL sort, then by bytes.
HASHED = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
# PostgreSQL counts equal errors, different ones are folded here. A time out of range would break the decoder.
IN_RANGE = "updated_at BETWEEN '0001-01-02' AND '9999-12-30'"
CAUSES = f"""
SELECT error_reason COLLATE "C" AS reason, left(error, {LONGEST}) COLLATE "C" AS error,
    entity_type COLLATE "C", count(*) AS events,
    count(*) FILTER (WHERE {FAILED_AGAIN}) AS again,
    min(updated_at) FILTER (WHERE {IN_RANGE}) AS first, max(updated_at) FILTER (WHERE {IN_RANGE}) AS last
{MATCHING} GROUP BY 1, 2, 3
"""
FAILED_ROWS = f"""
SELECT id::text, entity_type, entity_id::text, op, event_version, attempts, error_reason,
    left(error, {LONGEST}), {SAFE.format("created_at")}, {SAFE.format("updated_at")},
    coalesce(replay_count, 0), {FAILED_AGAIN}
{MATCHING} ORDER BY {EVENTS}.created_at, id
"""


@dataclass(frozen=True)
class Group:
    """Failed events of one cause. `failed_again` of them had been replayed before.

    The times are those of the failures (`updated_at`), null where they are out of range. `sample` is the
    newest of the errors, `folded` the text that all of them fold to.
    """

    fingerprint: str
    error_reason: str
    folded: str
    sample: str | None
    count: int
    failed_again: int
    first_failed_at: datetime | None
    last_failed_at: datetime | None
    entity_types: dict[str, int]


@dataclass(frozen=True)
class FailedRow:
    """One failed event for people; timestamps out of range are None, a long error is cut."""

    id: str
    entity_type: str
    entity_id: str
    op: str
    event_version: int | None
    attempts: int
    error_reason: str | None
    error: str | None
    created_at: datetime | None
    failed_at: datetime | None
    replay_count: int
    failed_again: bool


def failed_groups(connection: Connection, selection: Selection) -> list[Group]:
    """The causes of the failures, the most frequent first; `selection.limit` is ignored."""
    selection = resolved(connection, selection)
    connection.exec_driver_sql(HASHED)
    sums: dict[str, _Sum] = {}
    for reason, error, *figures in select_failed(connection, CAUSES, selection):
        name = fingerprint(reason, error)
        if name not in sums:
            sums[name] = _Sum(reason, error)
        sums[name].add(figures, error=error)
    chosen = {name: each for name, each in sums.items() if name.startswith(selection.fingerprint or "")}
    check_unique(selection.fingerprint, chosen)
    groups = (each.group(name) for name, each in chosen.items())
    return sorted(groups, key=lambda group: (-group.count, group.fingerprint))


def failed_rows(connection: Connection, selection: Selection) -> list[FailedRow]:
    """The failed events of a selection, the oldest first, at most `selection.limit`.

    Raises UsageError if the beginning of a fingerprint is that of several.
    """
    selection = resolved(connection, selection)
    rows = (FailedRow(*row) for row in select_failed(connection, FAILED_ROWS, selection))
    prefix = selection.fingerprint or ""
    named = ((fingerprint(row.error_reason, row.error), row) for row in rows)
    matches = ((name, row) for name, row in named if name.startswith(prefix))
    chosen = list(islice(matches, selection.limit))
    rest = matches if 0 < len(prefix) < LENGTH else ()  # later rows may have another one with this prefix
    check_unique(prefix, {name for name, _ in chain(chosen, rest)})
    return [row for _, row in chosen]


class _Sum:
    """The sums of one cause."""

    def __init__(self, reason: str | None, error: str | None) -> None:
        self.reason, self.error = reason, error
        self.count = self.again = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.types: Counter[str] = Counter()

    def add(self, figures: Sequence[Any], *, error: str | None) -> None:
        """Add a row of CAUSES, from its entity type on."""
        kind, count, again, first, last = figures
        self.count += count
        self.again += again
        self.types[kind] += count
        if first is None:
            return
        if self.last is None or (last, error or "") > (self.last, self.error or ""):
            self.error = error
        self.first, self.last = min(self.first or first, first), max(self.last or last, last)

    def group(self, name: str) -> Group:
        return Group(
            name,
            self.reason or NO_REASON,
            fold(self.error),
            self.error,
            self.count,
            self.again,
            self.first,
            self.last,
            dict(self.types.most_common()),
        )


# JSON made by the server can hold any row: `infinity`, the year 20000, the application's own columns. The
# error is cut as for `failed list`: by bytes in a SQL_ASCII database.
EVENT = text(f"""
SELECT to_json(e)::text, error_reason, left(error, {LONGEST}) FROM {EVENTS} e WHERE id = CAST(:id AS uuid)
""")


@dataclass(frozen=True)
class Event:
    """Every column of an event by name; `fingerprint` is that of its error, None if it has none."""

    row: dict[str, Any]
    fingerprint: str | None

    @property
    def key(self) -> str | None:
        """The key of its document in a declared projection; None for an event of search_index."""
        return self.row.get("entity_key")

    @property
    def projection(self) -> str:
        """The projection that it belongs to."""
        return PROJECTION if self.key is None else str(self.row["entity_type"])

    @property
    def of(self) -> str:
        """The key of its document; of search_index type and id of the entity."""
        return f"{self.row['entity_type']}:{self.row['entity_id']}" if self.key is None else self.key


def event_by_id(connection: Connection, id_: str) -> Event | None:
    """The event of this id, whatever its status; None if there is none."""
    connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")  # as the worker's documents have it
    row = connection.execute(EVENT, {"id": id_}).first()
    if row is None:
        return None
    return Event(loads(row[0]), fingerprint(*row[1:]) if row[1] or row[2] else None)
