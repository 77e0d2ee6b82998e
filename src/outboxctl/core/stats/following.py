"""Follow events, a line a followed table: how many wait, and what was found.

A follow event stands for all documents behind a changed row, whose number is not known before its query has
been run.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from json import loads

from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.counts import FINITE
from outboxctl.domain.projection import DOCUMENTS, Projection

BEGUN = 1_000  # events with a cursor that are read: few have begun at a time
# The name of a followed table is in the event, beside its place: one event of each place is looked at.
WAITING = text(f"""
SELECT entity_type::text, follow, min(entity_key COLLATE "C"), count(*),
    max(extract(epoch FROM now() - created_at)) FILTER (WHERE {FINITE})::float8
FROM {EVENTS} WHERE status IN ('pending', 'processing') AND follow IS NOT NULL GROUP BY 1, 2
""")
CURSORS = text(f"""
SELECT entity_type::text, follow, follow_cursor FROM {EVENTS}
WHERE status IN ('pending', 'processing') AND follow IS NOT NULL AND follow_cursor IS NOT NULL LIMIT {BEGUN}
""")


@dataclass(frozen=True)
class Following:
    """Follow events of one table of a projection: `events` wait, of those begun `keys_done` keys were found.

    `table` is empty where they stand for every document of the projection (TRUNCATE).
    """

    table: str
    keys_done: int
    events: int = 1
    oldest_age_seconds: float = 0.0


def following(connection: Connection, declared: Sequence[Projection]) -> dict[str, list[Following]]:
    """By projection its followed tables for which events wait, the oldest first."""
    known = {projection.name: projection for projection in declared}
    found, keys = dict[tuple[str, str], Following](), _keys(connection)
    for name, place, key, events, age in connection.execute(WAITING):
        table = _table(known.get(name), place, key)
        before = found.get((name, table), Following(table, 0, 0))
        found[name, table] = Following(
            table,
            before.keys_done + keys[name, place],
            before.events + events,
            max(before.oldest_age_seconds, age or 0.0),
        )
    by_name: dict[str, list[Following]] = defaultdict(list)
    for (name, _), each in sorted(found.items(), key=lambda item: -item[1].oldest_age_seconds):
        by_name[name].append(each)
    return by_name


def _keys(connection: Connection) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = defaultdict(int)
    for name, place, cursor in connection.execute(CURSORS):
        found[name, place] += _done(cursor)
    return found


def _table(projection: Projection | None, place: int, key: str) -> str:
    if place == DOCUMENTS:
        return str(projection.root) if projection else ""
    try:
        name = FollowEvent("", "", place, key, {}, 0).name
    except ValueError:
        return ""
    followed = projection.followed(place, name) if projection else None
    return str(followed.table) if followed else ""


def _done(cursor: str | None) -> int:
    """The keys that are done, by a `follow_cursor`; 0 where it does not say."""
    try:
        return int(loads(cursor or "")["done"])
    except (ValueError, TypeError, KeyError):
        return 0
