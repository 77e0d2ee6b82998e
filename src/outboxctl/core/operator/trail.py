"""Reading the audit trail: acts, and what became of the events of one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import AUDIT, EVENTS, SAFE
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status, Verb

FIRST = 100  # event ids that a list of acts holds of each
PAGE = 5_000  # rows fetched at a time

# The batches of one act share act_id; a row without one is an act by itself.
ACT = "coalesce(act_id, id)"
OF_ACT = "(a.act_id = CAST(:act AS uuid) OR a.act_id IS NULL AND a.id = CAST(:act AS uuid))"
# Other tools write here, too: one odd row must not hide the others.
FILTERS = """CASE WHEN jsonb_typeof(filters) = 'object' THEN filters
    ELSE jsonb_build_object('', filters) END"""
# The batches of an act have one action, operator and reason; what they say in filters can differ.
GROUPED = f"""SELECT {ACT} AS act, min(at) AS at, max(at) AS ended_at, min(action) AS action,
    min(operator) AS operator, min(reason) AS reason,
    string_agg(DISTINCT logged_in_as, ', ' ORDER BY logged_in_as) AS logged_in_as,
    sum(affected)::bigint AS affected, count(*) AS batches"""
SHOWN = f"""act::text, {SAFE.format("at")}, {SAFE.format("ended_at")}, action, operator, logged_in_as,
    reason, (
    SELECT {FILTERS} FROM {AUDIT} a WHERE a.act_id = act OR a.id = act ORDER BY a.at, a.id LIMIT 1),
    affected, batches"""
RECENT = text(f"""
WITH acts AS (
    {GROUPED} FROM {AUDIT}
    WHERE (CAST(:action AS text) IS NULL OR action = :action)
        AND (CAST(:by AS text) IS NULL OR operator = :by)
    GROUP BY {ACT}
    HAVING CAST(:since AS timestamptz) IS NULL OR max(at) >= :since
    ORDER BY max(at) DESC, {ACT} LIMIT :limit
)
SELECT {SHOWN}, ARRAY (
    SELECT u.id::text FROM {AUDIT} a, unnest(a.event_ids[1:{FIRST}]) WITH ORDINALITY AS u (id, place)
    WHERE a.act_id = act OR a.id = act ORDER BY a.at, a.id, u.place LIMIT {FIRST})
FROM acts ORDER BY acts.ended_at DESC, act
""")
ONE = text(f"""
WITH acts AS ({GROUPED} FROM {AUDIT} a WHERE {OF_ACT} GROUP BY {ACT})
SELECT {SHOWN}, CAST(ARRAY[] AS text[]) FROM acts
""")
SAID = text(f"SELECT {FILTERS} FROM {AUDIT} a WHERE {OF_ACT} ORDER BY a.at, a.id")
# Where an event is now. After a replay `failed` is failed again, unless the replay was undone; who
# replayed it once more has an act of his own.
NOW = f"""CASE
    WHEN e.id IS NULL THEN 'gone'
    WHEN a.action = '{Verb.REPLAY}' AND e.last_replayed_at <> a.at THEN 'replayed since'
    WHEN EXISTS (SELECT FROM undone WHERE undone.id = u.id) THEN 'undone'
    WHEN a.action = '{Verb.REPLAY}' AND e.status = '{Status.FAILED}' THEN 'failed again'
    WHEN e.status = '{Status.DONE}' AND e.error_reason = '{Reason.DISCARDED}' THEN '{Reason.DISCARDED}'
    ELSE e.status END"""
UNDONE = f"""
WITH undone AS MATERIALIZED (
    SELECT unnest(event_ids) AS id FROM {AUDIT}
    WHERE action = '{Verb.UNDO}' AND filters ->> 'audit_id' = CAST(:act AS text)
)"""
OF_IT = f"""
FROM {AUDIT} a CROSS JOIN LATERAL unnest(a.event_ids, a.before_reasons, a.before_errors, a.before_attempts)
    WITH ORDINALITY AS u (id, reason, error, attempts, place)
LEFT JOIN LATERAL (SELECT * FROM {EVENTS} WHERE id = u.id LIMIT 1) e ON true
WHERE {OF_ACT}"""
EVENTS_OF = text(f"""{UNDONE}
SELECT u.id::text, u.reason, u.error, u.attempts, {NOW} {OF_IT}
ORDER BY a.at, a.id, u.place LIMIT CAST(:limit AS bigint)
""")
PLACES = text(f"{UNDONE} SELECT {NOW}, count(*) {OF_IT} GROUP BY 1 ORDER BY 2 DESC, 1")
MAY_READ = text(f"SELECT has_table_privilege(to_regclass('{AUDIT}')::oid, 'SELECT')")
# Found by the index on `at`: a replay and its rows bear one time.
REPLAYED_AS = text(f"""
SELECT a.logged_in_as FROM {EVENTS} e JOIN {AUDIT} a ON a.at = e.last_replayed_at
WHERE e.id = CAST(:id AS uuid) AND a.action = '{Verb.REPLAY}' AND e.id = ANY (a.event_ids)
ORDER BY a.id LIMIT 1
""")


@dataclass(frozen=True)
class AuditRow:
    """Who did what, when, why, to how many, in how many batches; `event_ids` holds the first hundred.

    `operator` is who was named by `--by`, `logged_in_as` as whom PostgreSQL had let them in: whoever adds
    a batch of his own to another's act shows there. None: a row from before migration 0007.
    `filters` of a repair add up what its batches did. A time out of range is None.
    """

    id: str
    at: datetime | None
    ended_at: datetime | None
    action: str
    operator: str
    logged_in_as: str | None
    reason: str
    filters: dict[str, Any]
    affected: int
    batches: int
    event_ids: list[str]


@dataclass(frozen=True)
class Touched:
    """One event of an act: what it said before, where that was kept, and where it is `now`.

    A status, or `discarded`, `failed again`, `replayed since`, `undone`, `gone` (pruned).
    """

    id: str
    error_reason: str | None
    error: str | None
    attempts: int | None
    now: str


def recent(
    connection: Connection,
    *,
    limit: int,
    action: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
) -> list[AuditRow]:
    """The latest acts, newest first: those that ended at or after `since`."""
    given = {"limit": limit, "action": action, "by": by, "since": since}
    rows = [AuditRow(*row) for row in connection.execute(RECENT, given)]
    return [_summed(connection, row) for row in rows]


def act(connection: Connection, id_: str) -> AuditRow | None:
    """One act by its id, None if there is no such; its event ids are left to `events`."""
    row = connection.execute(ONE, {"act": id_}).first()
    return None if row is None else _summed(connection, AuditRow(*row))


def replayed_as(connection: Connection, id_: str) -> str | None:
    """The login of who replayed an event last; None where nobody did, or the audit cannot tell.

    It cannot where the row is older than migration 0007, or this role may not read it.
    """
    if not connection.execute(MAY_READ).scalar():
        return None
    found = connection.execute(REPLAYED_AS, {"id": id_}).scalar()
    return None if found is None else str(found)


def _summed(connection: Connection, row: AuditRow) -> AuditRow:
    """Batches repeat what was asked for; but those of a repair say what each of them did."""
    if row.action != "repair" or row.batches == 1:
        return row
    said = connection.execute(SAID, {"act": row.id}, execution_options={"yield_per": FIRST})
    told: dict[str, Any] = {}
    for (filters,) in said:
        told |= {name: _more(told.get(name), value) for name, value in filters.items()}
    return replace(row, filters=told)


def _more(told: Any, value: Any) -> Any:
    """Numbers are summed, lists and objects joined until there are a hundred entries."""
    match told, value:
        case None, _:
            return value
        case (int(), int()):
            return told + value
        case ([*_], [*_]) if len(told) < FIRST:
            return told + value
        case ({}, {}) if len(told) < FIRST:
            return told | value
    return told


def events(connection: Connection, id_: str, *, limit: int | None = None) -> Iterator[Touched]:
    """What an act did to each event, in the order in which it did it, a page at a time."""
    connection.exec_driver_sql(PLAN)  # each event by its id, whatever the statistics say
    given = {"act": id_, "limit": limit}
    return (
        Touched(*row) for row in connection.execute(EVENTS_OF, given, execution_options={"yield_per": PAGE})
    )


def places(connection: Connection, id_: str) -> dict[str, int]:
    """Where the events of an act are now, and how many are there; most of them first."""
    connection.exec_driver_sql(PLAN)
    rows = connection.execute(PLACES, {"act": id_})
    return {str(place): int(count) for place, count in rows}
