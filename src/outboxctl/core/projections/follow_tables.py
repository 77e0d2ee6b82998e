"""The followed tables whose follow events wait: which of them can be expanded, found by one index.

Its predicate is `FOLLOWS`; it begins with the projection and the table's place, so that a backlog of one
table is never read past for another one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from outboxctl.core.projections import follow_keys, follow_pages
from outboxctl.core.projections.documents import session
from outboxctl.core.projections.follow_keys import Page
from outboxctl.core.projections.follow_pages import CURSOR, HALF, KEY, FollowEvent
from outboxctl.core.projections.in_force import STAMP
from outboxctl.core.schema.names import EVENTS, ONE_MORE_ATTEMPT, PLAN, STATUS_IS, UNHELD, id_array
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, Projection

FOLLOWS = "status = 'pending' AND next_retry_at = 'infinity' AND follow IS NOT NULL"
BEGUN, FRESH = "num_nulls(follow_cursor) = 0", "num_nulls(follow_cursor) = 1"
MOST_BEGUN = 4  # events of one table that are expanded beside each other: further ones wait
LOOKED_AT = 50  # begun events of one table
# Whether key events that were written wait for lanes. One that waits for its retry holds nothing up. Where
# the first one of the half page does so, too, the sink takes nothing: more events would only wait as well.
WAIT = f"""EXISTS (SELECT FROM {EVENTS} l
    WHERE l.id = CAST({{last}} AS uuid) AND l.{STATUS_IS} 'pending'
        AND (coalesce(l.attempts, 0) = 0 OR EXISTS (SELECT FROM {EVENTS} w
            WHERE w.id = CAST({{first}} AS uuid) AND w.{STATUS_IS} 'pending')))"""
WAITS = text(f"SELECT {WAIT.format(first=':first', last=':last')}")
# Of a cursor as `follow.put_back` writes it. A cast to JSON would fail for all events where one has another.
ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
IDS = f"""regexp_match({CURSOR}, '"waits_for": \\["({ID})", "({ID})"\\]')"""
OF_CURSOR = WAIT.format(first="ids[1]", last="ids[2]")
NEXT = f"SELECT entity_type, follow FROM {EVENTS} WHERE {FOLLOWS}"
OF_TABLE = f"{FOLLOWS} AND entity_type = t.entity_type AND follow = t.follow"
WAITING = text(f"""
WITH RECURSIVE tables AS (
    ({NEXT} ORDER BY entity_type, follow LIMIT 1)
    UNION ALL
    SELECT n.* FROM tables t CROSS JOIN LATERAL (
        {NEXT} AND (entity_type, follow) > (t.entity_type, t.follow) ORDER BY entity_type, follow LIMIT 1) n
)
SELECT t.entity_type, t.follow, EXISTS (SELECT FROM {EVENTS} WHERE {OF_TABLE} AND {FRESH}), begun.number,
    begun.due
FROM tables t CROSS JOIN LATERAL (
    SELECT count(*) AS number,
        (array_agg(id::text ORDER BY created_at) FILTER (WHERE NOT {OF_CURSOR}))[1] AS due
    FROM (SELECT id, created_at, {IDS} AS ids FROM {EVENTS}
        WHERE {OF_TABLE} AND {BEGUN} ORDER BY created_at LIMIT {LOOKED_AT}) b
) begun
""")


@dataclass(frozen=True)
class FollowedTable:
    """A followed table of a projection by its place, of which events wait.

    `fresh`: some have not begun; `begun` have; `due` is the id of one whose next keys may be written.
    `together`: so many documents may have one event.
    """

    projection: str
    place: int
    fresh: bool
    begun: int
    due: str | None
    together: int = 0

    @property
    def may_begin(self) -> bool:
        """Whether events that have not begun may be expanded. Each one for every document sends them all."""
        return self.fresh and self.begun < (1 if self.place == EVERYTHING else MOST_BEGUN)


def waiting(connection: Connection) -> Sequence[FollowedTable]:
    """The tables with follow events that wait, by projection and place."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
    return [FollowedTable(*row) for row in connection.execute(WAITING)]


def due(connection: Connection) -> bool:
    """Whether a follow event may be expanded, or one that somebody has locked."""
    return any(table.due or table.may_begin for table in waiting(connection))


def taken(connection: Connection, first: str, last: str) -> bool:
    """Whether lanes have taken the key events that were written from `first` to `last`."""
    return not connection.execute(WAITS, {"first": first, "last": last}).scalar()


MOST = 1_000  # events in one set
WRITE_SECONDS = 15.0  # for a statement that writes what was found: on a busy server
MOST_BYTES = 4 * 2**20  # of the rows' columns in one set
LOCK = text(f"""
WITH locked AS MATERIALIZED (
    SELECT id, created_at, {KEY} AS entity_key, attempts FROM {EVENTS}
    WHERE {FOLLOWS} AND entity_type = :name AND follow = :place AND {FRESH}
    ORDER BY created_at LIMIT :size FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT *, sum(octet_length(entity_key)) OVER (ORDER BY created_at ROWS UNBOUNDED PRECEDING) AS so_far
    FROM locked
)
SELECT id::text, entity_key, attempts, {STAMP.format(name=":name")} FROM measured
WHERE so_far <= {MOST_BYTES} OR so_far = octet_length(entity_key) ORDER BY created_at
""")
COMPLETE = text(f"""
UPDATE {EVENTS} SET status = 'done', processed_at = now(), next_retry_at = NULL, error_reason = NULL,
    error = NULL, attempts = {ONE_MORE_ATTEMPT}, {UNHELD}, updated_at = now()
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} 'pending'
""")
# In place of other events, whose own words a worker may not change. Their age begins anew, as in `SPLIT`.
WRITE = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key, follow, next_retry_at)
SELECT CAST(:name AS text),
    md5(concat(CAST(:name AS text), '/', CAST(:place AS text), ':', key))::uuid, 'upsert', key,
    CAST(:place AS int), 'infinity'
FROM json_array_elements_text(CAST(:keys AS json)) key
""")


def lock(connection: Connection, table: FollowedTable, size: int) -> list[FollowEvent]:
    """Lock the oldest `size` events of the table that have not begun, without those that others have locked.

    Fewer where their rows are large, but one at least; none where there is none.
    """
    connection.exec_driver_sql(PLAN)
    values = {"name": table.projection, "place": table.place, "size": size}
    return [
        FollowEvent(id_, table.projection, table.place, key, {}, attempts or 0, stamp, table.together)
        for id_, key, attempts, stamp in connection.execute(LOCK, values)
    ]


def expand(
    connection: Connection,
    projection: Projection,
    events: Sequence[FollowEvent],
    *,
    seconds: float,
    lock_seconds: float,
) -> Page | None:
    """Write an event of each key behind these events, which end; None where half a page has no room for them.

    All must be of one query that `follow_query.fits`. Raises ReadRefusedError where PostgreSQL refuses it for
    one of them, in at most `seconds`; a lock on what it reads is waited for at most `lock_seconds`.
    """
    keys = follow_keys.read_set(connection, projection, events, seconds=seconds, lock_seconds=lock_seconds)
    return None if keys is None else _write(connection, events, keys)


def merge(connection: Connection, events: Sequence[FollowEvent]) -> Page:
    """Write an event of each document that these events name, which end: of each one, however often it waits.

    Where half a page has no room for them, one event of all of them is written in their place.
    """
    keys = sorted({*chain.from_iterable(event.documents for event in events)})
    if len(keys) <= HALF:
        return _write(connection, events, keys)
    connection.exec_driver_sql(session(WRITE_SECONDS))
    write_instead(connection, events[0].projection, DOCUMENTS, [json.dumps(keys, ensure_ascii=False)])
    connection.execute(COMPLETE, {"ids": id_array(event.id for event in events)})
    return Page(0, end=True)


def write_instead(connection: Connection, name: str, place: int, keys: Sequence[str]) -> None:
    """Write follow events of this place of a projection, in place of others, which the caller ends."""
    values = {"name": name, "place": place, "keys": json.dumps(keys, ensure_ascii=False)}
    connection.execute(WRITE, values)


def _write(connection: Connection, events: Sequence[FollowEvent], keys: Sequence[str]) -> Page:
    connection.exec_driver_sql(session(WRITE_SECONDS))
    ends = follow_pages.write(connection, events[0], keys)
    connection.execute(COMPLETE, {"ids": id_array(event.id for event in events)})
    return Page(len(keys), end=True, ends=ends)
