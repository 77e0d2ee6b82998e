"""Events counted by projection, and all together: exact, or estimated where only a scan could count.

The rows of all events that are not done are read, since their projection is in no index: a million of them
take some tenths of a second.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outboxctl.core.documents import table
from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import EVENTS, STUCK
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.core.stats.counts import AGE, FINITE, estimated_rows
from outboxctl.core.stats.following import Following, FollowPace, following
from outboxctl.domain.lifecycle import PROJECTION, Status

NOT_DONE = (Status.PENDING, Status.PROCESSING, Status.FAILED)
# A follow event waits for the expander, not for a retry, though its next_retry_at is `infinity`.
RETRIES = "FILTER (WHERE status = 'pending' AND next_retry_at > now() AND follow IS NULL"
# A branch for each partial index: `status IN (…)` would match none, and read the whole table.
BRANCH = f"""
SELECT status, {in_force.OF_EVENT} AS projection,
    CASE WHEN status = 'failed' THEN coalesce(error_reason, 'none') END AS reason,
    count(*) AS events, count(*) FILTER (WHERE {STUCK}) AS stuck,
    {AGE.format(f"min(created_at) FILTER (WHERE status IN ('pending', 'processing') AND {FINITE})")} AS age,
    count(follow) FILTER (WHERE status IN ('pending', 'processing')) AS follows,
    count(*) {RETRIES}) AS retries,
    extract(epoch FROM max(next_retry_at) {RETRIES} AND isfinite(next_retry_at)) - now())::float8 AS due
FROM {EVENTS}{{where}} GROUP BY 1, 2, 3
"""
PENDING, PROCESSING, FAILED = (BRANCH.format(where=f" WHERE status = '{each}'") for each in NOT_DONE)
UNDER_WAY = text(f"{PENDING} UNION ALL {PROCESSING}")
PARTIAL = text(f"{PENDING} UNION ALL {PROCESSING} UNION ALL {FAILED}")
ALL_EVENTS = text(BRANCH.format(where=""))


@dataclass(frozen=True)
class ProjectionStatus:
    """The events of one projection that are not done; `following`: those for many documents, by table.

    `used`: false of the built-in one where others are declared, and it has neither rows nor events.
    `family` is the name of the declaration for several schemas that it is of.
    """

    name: str
    pending: int = 0
    processing: int = 0
    failed: int = 0
    stuck: int = 0
    oldest_age_seconds: float = 0.0
    failed_by_reason: dict[str, int] = field(default_factory=dict)
    following: list[Following] = field(default_factory=list)
    used: bool = True
    family: str = ""

    @property
    def lag(self) -> int:
        """Events pending or processing."""
        return self.pending + self.processing


@dataclass(frozen=True)
class Counted:
    """The events of all that was asked for by status, failed ones by reason; the last one is built in.

    `lag`: pending or processing. `waiting_for_retry` events of it are not due yet, the last of them in
    `retries_due_seconds`. `estimated` names the statuses whose count is an estimate.
    """

    lag: int
    stuck: int
    oldest_age_seconds: float
    status: dict[str, int]
    failed_by_reason: dict[str, int]
    waiting_for_retry: int = 0
    retries_due_seconds: float = 0.0
    estimated: list[str] = field(default_factory=list)
    projections: list[ProjectionStatus] = field(default_factory=list)

    @property
    def shown(self) -> list[ProjectionStatus]:
        """The projections that people read: without the built-in one where nobody uses it."""
        return [each for each in self.projections if each.used]


def count(
    connection: Connection, *, max_processing: float, only: str | None = None, pace: FollowPace | None = None
) -> Counted:
    """Count in one snapshot: the whole table, or `only` one projection; `pace` has the look before.

    `only` may stand for several. The done events of a large table are estimated; those of one projection are
    left out then.
    """
    of = None if only is None else in_force.members(connection, only)
    declared = in_force.declared(connection)
    live = estimated_rows(connection)
    rows = _read(connection, ALL_EVENTS if live is None else PARTIAL, max_processing)
    followed = following(connection, declared, pace or FollowPace()) if any(r.follows for r in rows) else {}
    # One that was dropped is listed while it has events that need somebody, or where it is asked for.
    left = {row.projection for row in rows if only is not None or row.status != Status.DONE}
    names = {*left, *(each.name for each in declared)} - {None}
    used = only == PROJECTION or not declared or not table.unused(connection)
    chosen = [row for row in rows if of is None or (row.projection or PROJECTION) in of]
    status = _by_status(chosen, live)
    if live is not None and only is not None:
        del status["done"]
    by_name, families = _by_name(rows), {each.name: each.family for each in declared}
    projections = [
        replace(
            _status(name, by_name[name], followed.get(name, ())),
            family=families.get(name, ""),
            used=used or name != PROJECTION,
        )
        for name in [*sorted(names), PROJECTION]
        if of is None or name in of
    ]
    all_ = _status("", chosen)
    return Counted(
        all_.lag,
        all_.stuck,
        all_.oldest_age_seconds,
        status,
        all_.failed_by_reason,
        sum(row.retries for row in chosen),
        max([0.0, *(row.due for row in chosen if row.due is not None)]),
        estimated=["done"] if live is not None and only is None else [],
        projections=projections,
    )


def gauges(
    connection: Connection, declared: Collection[str], *, max_processing: float
) -> dict[str, ProjectionStatus]:
    """The events under way of the declared projections and the built-in one, without the failed ones.

    Events of another name count as the built-in one's, as those of search_index do.
    """
    rows = _read(connection, UNDER_WAY, max_processing)
    by_name = _by_name(rows)
    own = {name: by_name[name] for name in declared}
    own[PROJECTION] = [row for row in rows if row.projection not in declared]
    return {name: _status(name, each) for name, each in own.items()}


def _read(connection: Connection, statement: TextClause, max_processing: float) -> Sequence[Any]:
    # Compiling takes longer than counting. Done events are not read for the others.
    seqscan = "" if statement is ALL_EVENTS else "; SET LOCAL enable_seqscan = off"
    connection.exec_driver_sql(f"SET LOCAL jit = off{seqscan}")
    return connection.execute(statement, {"max_processing": max_processing}).all()


def _by_name(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    found = defaultdict[str, list[Any]](list)
    for row in rows:
        found[row.projection or PROJECTION].append(row)
    return found


def _status(name: str, rows: Sequence[Any], following: Sequence[Following] = ()) -> ProjectionStatus:
    pending, processing, failed = (sum(r.events for r in rows if r.status == each) for each in NOT_DONE)
    stuck = sum(row.stuck for row in rows)
    age = max([0.0, *(row.age for row in rows if row.age is not None)])
    return ProjectionStatus(name, pending, processing, failed, stuck, age, _by_reason(rows), [*following])


def _by_status(rows: Sequence[Any], live: int | None) -> dict[str, int]:
    """The sums of these rows; of a table with `live` rows those that were not counted are done."""
    by_status = dict.fromkeys((status.value for status in Status), 0)
    for row in rows:
        by_status[row.status] = by_status.get(row.status, 0) + row.events
    if live is not None:
        by_status["done"] = max(0, live - sum(by_status.values()))
    return by_status


def _by_reason(rows: Iterable[Any]) -> dict[str, int]:
    """The failed events by reason, the most frequent first; several rows may have one."""
    failed = Tally[str]()
    for row in rows:
        if row.status == Status.FAILED:
            failed[row.reason] += row.events
    return dict(sorted(failed.items(), key=lambda item: (-item[1], item[0])))
