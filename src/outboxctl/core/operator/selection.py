"""Selection of failed events: the plan of an act is read first, and is the output of a dry run."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple

from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import EVENTS, STATUS_IS, id_array, source
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError
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
SELECT id::text, error_reason, left(error, {LONGEST}) AS error, {FAILED_AGAIN} AS again {MATCHING}
ORDER BY created_at, id LIMIT CAST(:limit AS bigint)
"""
COUNT = f"SELECT count(*) {MATCHING}"
NOW = text("SELECT now()")


@dataclass(frozen=True)
class Selection:
    """A selection of failed events: all conditions that are not None must hold; `until` is exclusive.

    `error_reason` is a Reason, or NO_REASON for rows without one. An empty list of ids
    matches nothing. `fingerprint` may be the beginning of one. `entity_type` may be the name of a projection
    in force, and is it then (`resolved`).
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
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values = {
            name: str(v) if isinstance(v, datetime) else v for name, v in values.items() if v is not None
        }
        if self.ids is not None and len(self.ids) > LISTED:
            values["ids"] = f"{len(self.ids)} given"
        return values


@dataclass(frozen=True)
class FailureCause:
    """How many events of a plan failed of one cause; `sample` is the error of the oldest, folded."""

    fingerprint: str
    error_reason: str
    count: int
    sample: str


@dataclass(frozen=True)
class MovePlan:
    """The plan of an act: `matched` events match, `ids` are selected, the oldest first.

    `failed_again` of them had been replayed before. `at` is the database's time of the plan.
    """

    selection: Selection
    matched: int
    ids: list[str]
    causes: list[FailureCause] = field(default_factory=list)
    failed_again: int = 0
    at: datetime | None = None

    @property
    def by_reason(self) -> dict[str, int]:
        """How many of the selected events failed for each reason."""
        reasons = dict.fromkeys(cause.error_reason for cause in self.causes)
        return {r: sum(cause.count for cause in self.causes if cause.error_reason == r) for r in reasons}


def plan(connection: Connection, selection: Selection) -> MovePlan:
    """The plan for a selection, at most `selection.limit` events.

    Raises UsageError if the beginning of a fingerprint is that of several, or for an unknown projection.
    """
    selection = resolved(connection, selection)
    at = connection.execute(NOW).scalar_one()
    prefix, limit = selection.fingerprint, selection.limit
    matches = _matches(connection, selection, limit=None if prefix else limit)
    chosen = list(islice(matches, limit))
    names = Counter(row.fingerprint for row in chain(chosen, matches))  # of the rest, only their number
    matched = names.total()
    if not prefix and matched == limit:
        matched = max(matched, select_failed(connection, COUNT, selection).scalar_one())
    check_unique(prefix, names)
    again = sum(row.again for row in chosen)
    return MovePlan(selection, matched, [row.id for row in chosen], _causes(chosen), again, at)


def resolved(connection: Connection, selection: Selection) -> Selection:
    """The selection with its projection: of an entity type that names one. UsageError for an unknown one."""
    projection, kind = in_force.resolved(connection, selection.projection, selection.entity_type)
    return replace(selection, projection=projection, entity_type=kind)


class _Match(NamedTuple):
    id: str
    again: bool
    reason: str
    fingerprint: str
    folded: str  # one object for all events of a cause, from the cache


def _matches(connection: Connection, selection: Selection, *, limit: int | None) -> Iterator[_Match]:
    for id_, reason, error, again in select_failed(connection, SELECT, selection, limit=limit):
        name = fingerprint(reason, error)
        if name.startswith(selection.fingerprint or ""):
            yield _Match(id_, again, reason or NO_REASON, name, fold(error))


def check_unique(prefix: str | None, matches: Collection[str]) -> None:
    """Raise UsageError if several fingerprints match the beginning of one."""
    if prefix and len(matches) > 1:
        hint = f"give more of it: {', '.join(sorted(matches)[:5])}"
        raise UsageError(f"{prefix} is the beginning of {len(matches)} fingerprints", hint=hint)


def _causes(rows: Sequence[_Match]) -> list[FailureCause]:
    """The causes of these events, the most frequent first."""
    counts = Counter(row.fingerprint for row in rows)
    first = {row.fingerprint: row for row in reversed(rows)}
    return [
        FailureCause(name, first[name].reason, count, first[name].folded)
        for name, count in counts.most_common()
    ]


def select_failed(connection: Connection, query: str, selection: Selection, **more: Any) -> Any:
    """The rows of a query that holds FITTING, a page at a time."""
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
