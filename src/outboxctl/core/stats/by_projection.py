"""Events counted by projection: one statement for all of them, where projections are in force.

Unlike the counts of the whole table these read the rows of all events that are not done: their projection is
in no index. A million of them take some tenths of a second.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from outboxctl.core.delivery.claim import has_projections
from outboxctl.core.projections import choosing
from outboxctl.core.schema.names import EVENTS, STUCK
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats import counts
from outboxctl.core.stats.counts import AGE, FINITE, Counts, Gauges
from outboxctl.core.stats.following import Following, FollowPace, following
from outboxctl.domain.lifecycle import PROJECTION, Status

NOT_DONE = (Status.PENDING, Status.PROCESSING, Status.FAILED)
OLDEST = AGE.format(f"min(created_at) FILTER (WHERE {FINITE})")
PENDING = f"""
SELECT 'pending' AS status, {choosing.OF_EVENT} AS projection, NULL AS reason, count(*) AS events,
    0::bigint AS stuck, {OLDEST} AS age, count(follow) AS follows
FROM {EVENTS} WHERE status = 'pending' GROUP BY 2
"""
PROCESSING = f"""
SELECT 'processing', {choosing.OF_EVENT}, NULL, count(*), count(*) FILTER (WHERE {STUCK}), {OLDEST},
    count(follow)
FROM {EVENTS} WHERE status = 'processing' GROUP BY 2
"""
FAILED = f"""
SELECT 'failed', {choosing.OF_EVENT}, coalesce(error_reason, 'none'), count(*), 0, NULL, 0
FROM {EVENTS} WHERE status = 'failed' GROUP BY 2, 3
"""
UNDER_WAY = text(f"{PENDING} UNION ALL {PROCESSING}")
PARTIAL = text(f"{PENDING} UNION ALL {PROCESSING} UNION ALL {FAILED}")
ALL_EVENTS = text(f"""
SELECT status, {choosing.OF_EVENT} AS projection,
    CASE WHEN status = 'failed' THEN coalesce(error_reason, 'none') END AS reason,
    count(*) AS events, count(*) FILTER (WHERE {STUCK}) AS stuck,
    {AGE.format(f"min(created_at) FILTER (WHERE status IN ('pending', 'processing') AND {FINITE})")} AS age,
    count(follow) FILTER (WHERE status IN ('pending', 'processing')) AS follows
FROM {EVENTS} GROUP BY 1, 2, 3
""")


@dataclass(frozen=True)
class ProjectionStatus:
    """The events of one projection that are not done; `following`: those for many documents, by table."""

    name: str
    pending: int = 0
    processing: int = 0
    failed: int = 0
    stuck: int = 0
    oldest_age_seconds: float = 0.0
    failed_by_reason: dict[str, int] = field(default_factory=dict)
    following: list[Following] = field(default_factory=list)

    @property
    def lag(self) -> int:
        """Events pending or processing."""
        return self.pending + self.processing


@dataclass(frozen=True)
class Counted:
    """The sums of all that was asked for, and what each projection has, the built-in one last."""

    sums: Counts
    projections: list[ProjectionStatus]


def count(
    connection: Connection,
    *,
    max_processing: float,
    exact: bool = False,
    only: str | None = None,
    pace: FollowPace | None = None,
    now: datetime | None = None,
) -> Counted:
    """Count in one snapshot: the whole table, or `only` one projection; `pace` has the looks before.

    The done events of a large table are estimated, unless `exact`; those of one projection are left out then.
    """
    declared = choosing.declared(connection)
    if not declared and only in (None, PROJECTION):
        sums = counts.counts(connection, max_processing=max_processing, exact=exact, now=now)
        return Counted(sums, [_built_in(sums)])
    live = None if exact else counts.estimated_rows(connection)
    rows = read(connection, ALL_EVENTS if live is None else PARTIAL, max_processing=max_processing, now=now)
    pace = pace or FollowPace()
    followed = following(connection, declared, pace) if any(row.follows for row in rows) else {}
    declared_names = {*named(rows), *(each.name for each in declared)} - {PROJECTION}
    there = [*sorted(declared_names), PROJECTION]
    each = [status(name, rows, followed.get(name, ())) for name in there if only in (None, name)]
    own = [row for row in rows if only in (None, row.projection or PROJECTION)]
    sums = counts.summed(own, live)
    if only is not None and live is not None:
        sums = replace(sums, status={k: n for k, n in sums.status.items() if k != Status.DONE}, estimated=[])
    return Counted(sums, each)


def _built_in(sums: Counts) -> ProjectionStatus:
    """The built-in projection where there is no other."""
    pending, processing, failed = (sums.status[each] for each in NOT_DONE)
    stuck, age, reasons = sums.gauges.stuck, sums.gauges.oldest_age_seconds, sums.failed_by_reason
    return ProjectionStatus(PROJECTION, pending, processing, failed, stuck, age, reasons)


def gauges(
    connection: Connection,
    declared: Collection[str],
    *,
    max_processing: float,
    now: datetime | None = None,
) -> dict[str, Gauges]:
    """Lag, stuck and oldest age of the declared projections and the built-in one.

    Events of another name count as the built-in one's, as those of search_index do.
    """
    if not declared or not has_projections(connection):
        whole = counts.gauges(connection, max_processing=max_processing, now=now)
        return dict.fromkeys(declared, Gauges(0, 0, 0.0)) | {PROJECTION: whole}
    rows = read(connection, UNDER_WAY, max_processing=max_processing, now=now)
    rest = [row for row in rows if row.projection not in declared]
    own = {name: [row for row in rows if row.projection == name] for name in declared}
    return {name: counts.gauges_of(each) for name, each in (own | {PROJECTION: rest}).items()}


def read(
    connection: Connection, statement: Any, *, max_processing: float, now: datetime | None
) -> Sequence[Any]:
    """The rows of one of the statements above."""
    connection.exec_driver_sql("SET LOCAL jit = off")  # compiling takes longer than counting
    return connection.execute(statement, {"max_processing": max_processing, "now": now}).all()


def named(rows: Iterable[Any]) -> list[str]:
    """The projections that the rows count, by name."""
    return sorted({row.projection or PROJECTION for row in rows})


def status(name: str, rows: Iterable[Any], following: Sequence[Following] = ()) -> ProjectionStatus:
    """What the rows say of one projection."""
    own = [row for row in rows if (row.projection or PROJECTION) == name]
    pending, processing, failed = (sum(r.events for r in own if r.status == each) for each in NOT_DONE)
    ages = [row.age for row in own if row.age is not None]
    reasons = counts.by_reason(own)
    stuck, age = sum(row.stuck for row in own), max(0.0, *ages, 0.0)
    return ProjectionStatus(name, pending, processing, failed, stuck, age, reasons, [*following])
