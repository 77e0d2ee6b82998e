"""A follow event, and the pages of key events that are written for it."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text

PAGE = 2_000  # key events of one follow event that wait at a time, at most: others' events wait for these
NAME = ""  # in the JSON of an event's key, beside the names of columns: that of the followed table
HALF = PAGE // 2  # keys in one statement: a half is written while lanes claim the other one
# Ids of the events that one statement writes: one draw of time and random bits, from which rows are counted.
# The first half is the time, as in the column's default, the second one a number (RFC 9562, section 6.2): its
# first bits are 100, so it has 16 digits, and room for 2^61 rows. To draw each id costs as much as the rest
# of its row, where PostgreSQL is built without OpenSSL.
TIME_HALF = """\
overlay(lpad(to_hex((date_part('epoch', clock_timestamp()) * 4096000)::bigint), 15, '0')
                PLACING '7' FROM 13 FOR 0)"""
NUMBER_HALF = "(uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63)"
# What is longer is not read: then an event stands for every document (`follow_query.fits`), or fails for its
# cursor. `follow_tables.merge` writes half as much at most.
KEY = f"CASE WHEN octet_length(entity_key) <= {8 * 2**20} THEN entity_key ELSE '' END"
CURSOR = f"CASE WHEN octet_length(follow_cursor) > {2**20} THEN '[]' ELSE follow_cursor END"
BAD_CURSOR: Mapping[str, Any] = {"of": "no definition"}
# The keys are one JSON text: an array costs the worker five times as much CPU.
WRITE = text(f"""
WITH page AS MATERIALIZED (
    SELECT {TIME_HALF} AS start, {NUMBER_HALF} AS number
), written AS (
    INSERT INTO {EVENTS} (id, entity_type, entity_id, op, entity_key)
    SELECT CAST(start || to_hex(number + place) AS uuid), CAST(:name AS text),
        CAST(md5(CAST(:before AS text) || key) AS uuid), 'upsert', key
    FROM json_array_elements_text(CAST(:keys AS json)) WITH ORDINALITY k (key, place), page
)
SELECT start || to_hex(number + 1), start || to_hex(number + json_array_length(CAST(:keys AS json))) FROM page
""")


@dataclass(frozen=True)
class FollowEvent:
    """A claimed follow event: `rows` are the columns of the changed rows, `cursor` how far it is.

    `stamp` is that of the definition in force at the claim (`Projection.stamp`), None where there is none.
    """

    id: str
    projection: str
    place: int
    key: str
    cursor: Mapping[str, Any]
    attempts: int
    stamp: str | None = None

    @property
    def begun_otherwise(self) -> bool:
        """Whether its first pages were written by another definition than the one in force at the claim."""
        return bool(self.cursor) and self.cursor.get("of") != self.stamp

    @property
    def name(self) -> str:
        """That of the followed table (`Follow.name`); empty where an older trigger wrote the event."""
        return _text(self._content.get(NAME)) or ""

    @property
    def of_several(self) -> bool:
        """Whether one statement changed several rows, and this event stands for them: arrays of columns."""
        return self.place >= 0 and any(isinstance(value, list) for value in self._content.values())

    @cached_property
    def rows(self) -> Sequence[Mapping[str, str | None]]:
        """The columns of the changed rows by name. ValueError where the key is no such object."""
        columns = {name: value for name, value in self._content.items() if name != NAME}
        if not self.of_several:
            return [{name: _text(value) for name, value in columns.items()}]
        if not all(isinstance(value, list) for value in columns.values()):
            raise ValueError(f"not arrays alone: {self.key[:200]!r}")
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, map(_text, row), strict=True)) for row in rows]

    def has(self, parameters: Set[str]) -> bool:
        """Whether its rows have these columns. ValueError as `rows`."""
        return all(parameters <= row.keys() for row in self.rows)

    @cached_property
    def documents(self) -> list[str]:
        """The keys that an event of documents names, in order. ValueError where it holds no array of keys."""
        keys = parsed(self.key)
        if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            raise ValueError(f"not a JSON array of keys: {self.key[:200]!r}")
        return sorted({*keys})

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = parsed(self.key)
        if not isinstance(content, dict):
            raise ValueError(f"not a JSON object: {self.key[:200]!r}")
        return content

    def behind(self, keys: Sequence[str], events: Sequence[str], place: Mapping[str, Any]) -> dict[str, Any]:
        """The cursor behind these keys, of which `events` are written; the next ones come from `place`.

        These wait for the events of the keys before, not for those of these keys: see `HALF`.
        """
        before = self.cursor.get("events", [])
        done = int(self.cursor.get("done", 0)) + len(keys)
        more = {"done": done, "events": events or before, "waits_for": before, "of": self.stamp}
        return {**self.cursor, **place, **more}


def parsed(text: str) -> Any:
    """A text as JSON. ValueError where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def cursor_of(text: str | None) -> Mapping[str, Any]:
    """A `follow_cursor`; BAD_CURSOR where `behind` has not written it."""
    try:
        cursor = parsed(text or "{}")
        for event in (*(cursor.get("events") or ()), *(cursor.get("waits_for") or ())):
            UUID(event)
        kinds = {"after": str, "index": dict | None, "done": int, "of": str | None}
        good = all(isinstance(cursor[name], kind) for name, kind in kinds.items() if name in cursor)
    except (ValueError, TypeError, AttributeError):
        good = False
    return cursor if good else BAD_CURSOR


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def write(connection: Connection, projection: str, keys: Sequence[str]) -> list[str]:
    """Write an event of each key, in their order; returns the ids of the first and of the last one."""
    if not keys:
        return []
    values = {"name": projection, "before": f"{projection}:", "keys": json.dumps(keys, ensure_ascii=False)}
    return [str(UUID(id_)) for id_ in connection.execute(WRITE, values).one()]
