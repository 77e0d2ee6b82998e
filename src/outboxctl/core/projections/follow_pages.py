"""A follow event, and the pages that are written for it: an event of each key, or one of many keys."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import DOCUMENTS, MAX_PAGE_BYTES

PAGE = 2_000  # key events of one follow event that wait at a time, at most: others' events wait for these
NAME = ""  # in the JSON of an event's key, beside the names of columns: that of the followed table
HALF = PAGE // 2  # keys in one statement: a half is written while lanes claim the other one
# What is longer is not read: then an event stands for every document (`follow_query.fits`), or fails for its
# cursor. `follow_tables.merge` writes half as much at most.
KEY = f"CASE WHEN octet_length(entity_key) <= {8 * 2**20} THEN entity_key ELSE '' END"
CURSOR = f"CASE WHEN octet_length(follow_cursor) > {2**20} THEN '[]' ELSE follow_cursor END"
BAD_CURSOR: Mapping[str, Any] = {"of": "no definition"}
LEAST = 100  # keys that have one event for all of them: fewer are sent with events of others
LONGEST = MAX_PAGE_BYTES // 2  # bytes of these keys in UTF-8: in no other encoding are they twice as many
# Due at once: a lane claims them. The keys are one JSON text: an array costs the worker five times as much.
WRITE = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key, follow)
SELECT CAST(:name AS text), CAST(md5(CAST(:before AS text) || key) AS uuid), 'upsert', key,
    CAST(:place AS smallint)
FROM json_array_elements_text(CAST(:keys AS json)) key
RETURNING id::text
""")


@dataclass(frozen=True)
class FollowEvent:
    """A claimed follow event: `rows` are the columns of the changed rows, `cursor` how far it is.

    `stamp` is that of the definition in force at the claim (`Projection.stamp`), None where there is none.
    `together`: so many documents behind it may have one event.
    """

    id: str
    projection: str
    place: int
    key: str
    cursor: Mapping[str, Any]
    attempts: int
    stamp: str | None = None
    together: int = 0

    @property
    def begun_otherwise(self) -> bool:
        """Whether its first pages were written by another definition than the one in force at the claim."""
        return bool(self.cursor) and self.cursor.get("of") != self.stamp

    @property
    def name(self) -> str:
        """That of the followed table (`Follow.name`); empty where the event does not say it."""
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


def write(connection: Connection, event: FollowEvent, keys: Sequence[str]) -> list[str]:
    """Write an event of each key, or of many, in their order; returns the ids of the first and the last.

    A lane sends the documents of one of many in one request (worker/lane/pages.py).
    """
    if not keys:
        return []
    before, place = f"{event.projection}:", None
    if pages := _pages(keys, event.together):
        keys, before, place = pages, f"{event.projection}/{DOCUMENTS}:", DOCUMENTS
    values = {"name": event.projection, "before": before, "place": place, "keys": _json(keys)}
    ids = connection.execute(WRITE, values).scalars().all()
    return [ids[0], ids[-1]]


def _pages(keys: Sequence[str], size: int) -> list[str]:
    """The keys as JSON, `size` at a time; none where each is to have an event."""
    if not len(keys) >= LEAST <= size:
        return []
    pages = [_json(keys[start : start + size]) for start in range(0, len(keys), size)]
    return pages if max(len(page.encode("utf-8", "surrogatepass")) for page in pages) <= LONGEST else []


def _json(texts: Sequence[str]) -> str:
    return json.dumps(texts, ensure_ascii=False)


def named(key: str, place: int | None) -> list[str]:
    """The keys of documents that an event stands for, by its `entity_key` and `follow`.

    None where it names no documents, or holds what no trigger and no worker writes.
    """
    if place is None:
        return [key]
    try:
        return FollowEvent("", "", place, key, {}, 0).documents if place == DOCUMENTS else []
    except (ValueError, RecursionError):
        return []
