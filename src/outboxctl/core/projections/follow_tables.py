"""The followed tables whose follow events wait: which of them can be expanded, found by one index.

Its predicate is `FOLLOWS`; it begins with the projection and the table's place, so that a backlog of one
table is never read past for another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS, STATUS_IS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import EVERYTHING

FOLLOWS = "status = 'pending' AND next_retry_at = 'infinity' AND follow IS NOT NULL"
BEGUN, FRESH = "num_nulls(follow_cursor) = 0", "num_nulls(follow_cursor) = 1"
MOST_BEGUN = 4  # events of one table that are expanded beside each other: further ones wait
LOOKED_AT = 50  # begun events of one table: more than that wait only where an older version began them
# Whether key events that were written wait for lanes. One that waits for its retry holds nothing up. Where
# the first one of the half page does so, too, the sink takes nothing: more events would only wait as well.
WAIT = f"""EXISTS (SELECT FROM {EVENTS} l
    WHERE l.id = CAST({{last}} AS uuid) AND l.{STATUS_IS} 'pending'
        AND (coalesce(l.attempts, 0) = 0 OR EXISTS (SELECT FROM {EVENTS} w
            WHERE w.id = CAST({{first}} AS uuid) AND w.{STATUS_IS} 'pending')))"""
WAITS = text(f"SELECT {WAIT.format(first=':first', last=':last')}")
OF_CURSOR = WAIT.format(first="(cursor #>> '{waits_for,0}')", last="(cursor #>> '{waits_for,1}')")
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
    FROM (SELECT id, created_at, CAST(follow_cursor AS json) AS cursor FROM {EVENTS}
        WHERE {OF_TABLE} AND {BEGUN} ORDER BY created_at LIMIT {LOOKED_AT}) b
) begun
""")


@dataclass(frozen=True)
class FollowedTable:
    """A followed table of a projection by its place, of which events wait.

    `fresh`: some have not begun; `begun` have; `due` is the id of one whose next keys may be written.
    """

    projection: str
    place: int
    fresh: bool
    begun: int
    due: str | None

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
