"""Follow events, a line a followed table: how many wait, what was found, how fast they go.

A follow event stands for all documents behind a changed row, whose number is not known before its query has
been run. So the pace is that of the events, and it is measured, between two looks at the same table.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json import loads

from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.counts import FINITE
from outboxctl.domain.projection import Projection

BEGUN = 1_000  # events with a cursor that are read: few have begun at a time
WINDOW = 60.0  # seconds over which a pace is measured, at most
# The name of a followed table is in the event, beside its place: one event of each place is looked at.
WAITING = text(f"""
SELECT entity_type::text, follow, min(entity_key COLLATE "C"), count(*),
    count(*) FILTER (WHERE created_at > CAST(:since AS timestamptz)),
    max(extract(epoch FROM now() - created_at)) FILTER (WHERE {FINITE})::float8, now()
FROM {EVENTS} WHERE status IN ('pending', 'processing') AND follow IS NOT NULL GROUP BY 1, 2
""")
CURSORS = text(f"""
SELECT entity_type::text, follow, follow_cursor FROM {EVENTS}
WHERE status IN ('pending', 'processing') AND follow IS NOT NULL AND follow_cursor IS NOT NULL LIMIT {BEGUN}
""")
Place = tuple[str, str]  # a projection and a followed table


@dataclass(frozen=True)
class Following:
    """Follow events of one table of a projection: `events` wait, of those begun `keys_done` keys were found.

    `table` is empty where they stand for every document of the projection (TRUNCATE). Rates are of the last
    seconds that were looked at, null while nothing was done in them; `drain_seconds` is null, too, where as
    many events come as go.
    """

    table: str
    keys_done: int
    events: int = 1
    oldest_age_seconds: float = 0.0
    events_per_second: float | None = None
    keys_per_second: float | None = None
    drain_seconds: float | None = None


@dataclass(frozen=True)
class TableLook:
    """One look at a table's follow events; `arrived` of them after the look before."""

    events: int
    arrived: int
    keys_done: int
    age: float


@dataclass(frozen=True)
class FollowLook:
    """One look, at a moment of the database's clock."""

    at: datetime
    tables: dict[Place, TableLook]


@dataclass(frozen=True)
class PaceStep:
    """What happened to one table between two looks: events that ended and came, keys that were found."""

    at: datetime
    seconds: float
    done: int
    arrived: int
    keys: int


@dataclass
class FollowPace:
    """What was done between the looks so far; one for a command that looks again and again."""

    last: FollowLook | None = None
    _steps: dict[Place, list[PaceStep]] = field(default_factory=dict)

    def add(self, look: FollowLook) -> None:
        """Take one more look."""
        if self.last:
            steps = {place: self._step(self.last, look, place) for place in look.tables}
            kept = {place: [*self._steps.get(place, []), step] for place, step in steps.items() if step}
            self._steps = {
                place: [each for each in some if (look.at - each.at).total_seconds() < WINDOW]
                for place, some in kept.items()
            }
        self.last = look

    @staticmethod
    def _step(before: FollowLook, now: FollowLook, place: Place) -> PaceStep | None:
        was, is_, seconds = before.tables.get(place), now.tables[place], (now.at - before.at).total_seconds()
        if was is None or seconds <= 0:
            return None
        done = max(0, was.events + is_.arrived - is_.events)
        return PaceStep(now.at, seconds, done, is_.arrived, max(0, is_.keys_done - was.keys_done))

    def of(self, place: Place, waiting: TableLook) -> Following:
        """What is known of a table by now."""
        steps = self._steps.get(place, [])
        seconds = sum(step.seconds for step in steps)
        done, keys = sum(step.done for step in steps), sum(step.keys for step in steps)
        net = done - sum(step.arrived for step in steps)
        return Following(
            place[1],
            waiting.keys_done,
            waiting.events,
            waiting.age,
            done / seconds if done else None,
            keys / seconds if keys else None,
            waiting.events * seconds / net if done and net > 0 else None,
        )


def look(connection: Connection, declared: Sequence[Projection], since: datetime | None) -> FollowLook:
    """Look at all follow events that wait or are expanded."""
    known = {projection.name: projection for projection in declared}
    found, rows = _keys(connection), connection.execute(WAITING, {"since": since}).all()
    tables: dict[Place, TableLook] = {}
    for name, place, key, events, arrived, age, _ in rows:
        at = name, _table(known.get(name), place, key)
        before = tables.get(at, TableLook(0, 0, 0, 0.0))
        tables[at] = TableLook(
            before.events + events,
            before.arrived + arrived,
            before.keys_done + found[name, place],
            max(before.age, age or 0.0),
        )
    moment = rows[0][-1] if rows else connection.exec_driver_sql("SELECT now()").scalar_one()
    return FollowLook(moment, tables)


def following(
    connection: Connection, declared: Sequence[Projection], pace: FollowPace
) -> dict[str, list[Following]]:
    """By projection its followed tables for which events wait, the oldest first; `pace` takes the look."""
    now = look(connection, declared, pace.last.at if pace.last else None)
    pace.add(now)
    found: dict[str, list[Following]] = defaultdict(list)
    for place, waiting in sorted(now.tables.items(), key=lambda each: -each[1].age):
        found[place[0]].append(pace.of(place, waiting))
    return found


def drain_seconds(rest: float | None, tables: Iterable[Following]) -> float | None:
    """Seconds until all is delivered, where `rest` are those for the events of documents; None: unknown.

    Tables are expanded side by side, and the documents that were found last are delivered after that.
    """
    each = [table.drain_seconds for table in tables]
    known = [seconds for seconds in each if seconds is not None]
    return rest + max(known, default=0.0) if rest is not None and len(known) == len(each) else None


def _keys(connection: Connection) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = defaultdict(int)
    for name, place, cursor in connection.execute(CURSORS):
        found[name, place] += _done(cursor)
    return found


def _table(projection: Projection | None, place: int, key: str) -> str:
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
