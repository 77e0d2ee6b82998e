"""Which failed events: a selection, its causes, and the plan of an act, which is the output of a dry run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import EVENTS, STATUS_IS, id_array, source
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import NO_REASON
from outboxctl.domain.fingerprints import LONGEST, fingerprint, fold
from outboxctl.domain.lifecycle import Verb

LISTED = 20  # ids that an audit row's filters name one by one: all of them are in its event_ids
PAGE = 5_000  # rows fetched at a time

# It failed again after a replay; an undone replay does not count.
FAILED_AGAIN = "coalesce(replay_count > 0, false)"
# Ids are selected by their own index: by the one of failed events, each would be compared with a million ids,
# which old statistics (nothing failed) make cheap. They are in a subquery, or the planner would estimate
# each.
BY_STATUS = f"status = {source(Verb.REPLAY)}"
BY_ID = f"id = ANY (ARRAY (SELECT unnest(CAST(:ids AS uuid[])))) AND {STATUS_IS} {source(Verb.REPLAY)}"
# Conditions left out are NULL: no input becomes part of the SQL.
MATCHING = f"""
FROM {EVENTS} WHERE {{which}}
    AND (CAST(:error_reason AS text) IS NULL OR coalesce(error_reason, '{NO_REASON}') = :error_reason)
    AND (CAST(:entity_type AS text) IS NULL OR entity_type = :entity_type)
    AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
    AND (CAST(:until AS timestamptz) IS NULL OR created_at < :until)
"""
SELECT = f"""
SELECT id::text, error_reason, left(error, {LONGEST}) {MATCHING}
ORDER BY created_at, id LIMIT CAST(:limit AS bigint)
"""
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
NOW = text("SELECT now()")


@dataclass(frozen=True)
class Selection:
    """A selection of failed events: all conditions that are not None must hold; `until` is exclusive.

    `error_reason` is a Reason, or NO_REASON for rows without one. An empty list of ids matches nothing.
    `entity_type` may be the name of a projection in force, and is it then (`resolved`).
    """

    ids: Sequence[str] | None = None
    error_reason: str | None = None
    fingerprint: str | None = None
    entity_type: str | None = None
    projection: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def as_filter(self) -> dict[str, Any]:
        """The conditions by name, for the audit row; of many ids only their number."""
        values = {
            name: str(v) if isinstance(v, datetime) else v for name, v in vars(self).items() if v is not None
        }
        if self.ids is not None and len(self.ids) > LISTED:
            values["ids"] = f"{len(self.ids)} given"
        return values


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
class MovePlan:
    """The plan of an act: `ids` are selected, the oldest first, of the events of these `causes`.

    `at` is the database's time of the plan.
    """

    selection: Selection
    ids: list[str]
    causes: list[Group]
    at: datetime

    @property
    def matched(self) -> int:
        """How many events match, the limit aside; what came or went between two statements counts."""
        return max(len(self.ids), sum(cause.count for cause in self.causes))

    @property
    def failed_again(self) -> int:
        """How many of them had been replayed before."""
        return sum(cause.failed_again for cause in self.causes)


def plan(connection: Connection, selection: Selection) -> MovePlan:
    """The plan for a selection, at most `selection.limit` events. UsageError for an unknown projection."""
    selection = resolved(connection, selection)
    at = connection.execute(NOW).scalar_one()
    wanted, limit = selection.fingerprint, selection.limit
    rows = select_failed(connection, SELECT, selection, limit=None if wanted else limit)
    ids = (id_ for id_, reason, error in rows if wanted in (None, fingerprint(reason, error)))
    return MovePlan(selection, list(islice(ids, limit)), failed_groups(connection, selection), at)


def failed_groups(connection: Connection, selection: Selection) -> list[Group]:
    """The causes of the failures, the most frequent first, whatever the limit."""
    selection = resolved(connection, selection)
    connection.exec_driver_sql(HASHED)
    sums: dict[str, _Sum] = {}
    for reason, error, *figures in select_failed(connection, CAUSES, selection):
        name = fingerprint(reason, error)
        if name not in sums:
            sums[name] = _Sum(reason, error)
        sums[name].add(figures, error=error)
    wanted = selection.fingerprint
    groups = [each.group(name) for name, each in sums.items() if wanted in (None, name)]
    return sorted(groups, key=lambda group: (-group.count, group.fingerprint))


def resolved(connection: Connection, selection: Selection) -> Selection:
    """The selection with its projection: of an entity type that names one. UsageError for an unknown one."""
    projection, kind = in_force.resolved(connection, selection.projection, selection.entity_type)
    return replace(selection, projection=projection, entity_type=kind)


class _Sum:
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


def select_failed(connection: Connection, query: str, selection: Selection, **more: Any) -> Any:
    """The rows of a query that holds MATCHING, a page at a time."""
    if selection.ids is not None:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    of = in_force.scope(connection, selection.projection)
    statement = text(query.format(which=(BY_STATUS if selection.ids is None else BY_ID) + of.condition))
    values = {name: getattr(selection, name) for name in ("entity_type", "since", "until")} | more
    values |= of.values
    values["error_reason"] = selection.error_reason and str(selection.error_reason)
    if selection.ids is not None:
        values["ids"] = id_array(selection.ids)
    return connection.execute(statement, values, execution_options={"yield_per": PAGE})
