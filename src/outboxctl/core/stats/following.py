"""Follow events, a line a followed table: how many wait, what was found, how fast they go.

A follow event stands for all documents behind a changed row, whose number is not known before its query has
been run. So the pace is that of the events, measured between two looks.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from outboxctl.core.projections.follow_pages import FollowEvent, cursor_of
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.counts import FINITE
from outboxctl.domain.projection import DOCUMENTS, Projection

BEGUN = 1_000  # events with a cursor that are read: few have begun at a time
# The name of a followed table is in the event, beside its place: one event of each place is looked at. Pages
# are no changes that wait: lanes claim them.
WAITING = text(f"""
SELECT entity_type::text, follow, min(entity_key COLLATE "C"), count(*),
    count(*) FILTER (WHERE created_at > CAST(:since AS timestamptz)),
    max(extract(epoch FROM now() - created_at)) FILTER (WHERE {FINITE})::float8, now()
FROM {EVENTS} WHERE status IN ('pending', 'processing') AND follow IS NOT NULL
    AND (follow <> {DOCUMENTS} OR next_retry_at = 'infinity') GROUP BY 1, 2
""")
CURSORS = text(f"""
SELECT entity_type::text, follow, follow_cursor FROM {EVENTS}
WHERE status IN ('pending', 'processing') AND follow IS NOT NULL AND follow_cursor IS NOT NULL LIMIT {BEGUN}
""")
Place = tuple[str, str]  # a projection and a followed table


@dataclass(frozen=True)
class Following:
    """Follow events of one table of a projection: `events` wait, of those begun `keys_done` keys were found.

    `table` is empty where they stand for every document of the projection (TRUNCATE). The pace is that since
    the look before, null without one or while nothing was done; `drain_seconds` is null, too, where as many
    events come as go.
    """

    table: str
    keys_done: int
    events: int = 1
    oldest_age_seconds: float = 0.0
    events_per_second: float | None = None
    keys_per_second: float | None = None
    drain_seconds: float | None = None


@dataclass
class FollowPace:
    """The look before, by the database's clock; one for a command that looks again and again."""

    at: datetime | None = None
    tables: dict[Place, Following] = field(default_factory=dict)

    def of(self, place: Place, now: Following, arrived: int, seconds: float) -> Following:
        """What is known of a table by now; `arrived` of its events came after the look before."""
        before = self.tables.get(place)
        if before is None or seconds <= 0:
            return now
        done, keys = before.events + arrived - now.events, now.keys_done - before.keys_done
        return replace(
            now,
            events_per_second=done / seconds if done > 0 else None,
            keys_per_second=keys / seconds if keys > 0 else None,
            drain_seconds=now.events * seconds / (done - arrived) if done > arrived else None,
        )


def following(
    connection: Connection, declared: Sequence[Projection], pace: FollowPace
) -> dict[str, list[Following]]:
    """By projection its followed tables for which events wait, the oldest first; `pace` takes the look."""
    known = {projection.name: projection for projection in declared}
    found, arrived = dict[Place, Following](), defaultdict[Place, int](int)
    keys = defaultdict[tuple[str, int], int](int)
    for name, number, cursor in connection.execute(CURSORS):
        keys[name, number] += int(cursor_of(cursor).get("done", 0))
    rows = connection.execute(WAITING, {"since": pace.at}).all()
    for name, number, key, events, new, age, _ in rows:
        place = name, _table(known.get(name), number, key)
        before = found.get(place, Following(place[1], 0, 0))
        done, oldest = before.keys_done + keys[name, number], max(before.oldest_age_seconds, age or 0.0)
        found[place] = Following(place[1], done, before.events + events, oldest)
        arrived[place] += new
    moment = rows[0][-1] if rows else None
    seconds = (moment - pace.at).total_seconds() if moment and pace.at else 0.0
    by_name: dict[str, list[Following]] = defaultdict(list)
    for place, each in sorted(found.items(), key=lambda item: -item[1].oldest_age_seconds):
        by_name[place[0]].append(pace.of(place, each, arrived[place], seconds))
    pace.at, pace.tables = moment, found
    return by_name


def drain_seconds(rest: float | None, tables: Iterable[Following]) -> float | None:
    """Seconds until all is delivered, where `rest` are those for the events of documents; None: unknown.

    Tables are expanded side by side, and the documents that were found last are delivered after that.
    """
    each = [table.drain_seconds for table in tables]
    known = [seconds for seconds in each if seconds is not None]
    return rest + max(known, default=0.0) if rest is not None and len(known) == len(each) else None


def _table(projection: Projection | None, place: int, key: str) -> str:
    if place == DOCUMENTS:
        return str(projection.root) if projection else ""
    try:
        name = FollowEvent("", "", place, key, {}, 0).name
    except ValueError:
        return ""
    followed = projection.followed(place, name) if projection else None
    return str(followed.table) if followed else ""
