"""A follow event, and the pages of key events that are written for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from outboxctl.core.projections import event_ids
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text

PAGE = 2_000  # key events of one follow event that wait at a time, at most: others' events wait for these
NAME = ""  # in the JSON of an event's key, beside the names of columns: that of the followed table
HALF = PAGE // 2  # keys in one statement: a half is written while lanes claim the other one
# The keys are one JSON text: an array costs the worker five times as much CPU.
WRITE = text(f"""
WITH page AS MATERIALIZED (
    SELECT {event_ids.TIME_HALF} AS start, {event_ids.NUMBER_HALF} AS number
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
    """A claimed follow event: `values` are the columns of the changed row, `cursor` how far it is.

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
        return self._content.get(NAME) or ""

    @cached_property
    def values(self) -> Mapping[str, str | None]:
        """The columns of the changed row by name. ValueError where the key is not such an object."""
        return {name: value for name, value in self._content.items() if name != NAME}

    @cached_property
    def _content(self) -> dict[str, str | None]:
        values = json.loads(self.key)
        if not isinstance(values, dict):
            raise ValueError(f"not a JSON object: {self.key[:200]!r}")
        return {str(name): None if value is None else str(value) for name, value in values.items()}

    def behind(self, keys: Sequence[str], events: Sequence[str], place: Mapping[str, Any]) -> dict[str, Any]:
        """The cursor behind these keys, of which `events` are written; the next ones come from `place`.

        These wait for the events of the keys before, not for those of these keys: see `HALF`.
        """
        before = self.cursor.get("events", [])
        done = int(self.cursor.get("done", 0)) + len(keys)
        more = {"done": done, "events": events or before, "waits_for": before, "of": self.stamp}
        return {**self.cursor, **place, **more}


def write(connection: Connection, projection: str, keys: Sequence[str]) -> list[str]:
    """Write an event of each key, in their order; returns the ids of the first and of the last one."""
    if not keys:
        return []
    values = {"name": projection, "before": f"{projection}:", "keys": json.dumps(keys, ensure_ascii=False)}
    return [str(UUID(id_)) for id_ in connection.execute(WRITE, values).one()]
