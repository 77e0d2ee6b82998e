"""What waits: pending events by age, and retries by why they wait; by the partial index of pending ones."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.failures import NO_REASON

AGES = (86_400, 3_600, 300, 60, 10)  # seconds, the oldest first
MOST = 20  # reasons

# Places among moments, not lengths of time: what was created at `infinity` has none.
BY_AGE = text(f"""
SELECT width_bucket(created_at, ARRAY (
    SELECT coalesce(:now, now()) - make_interval(secs => age)
    FROM unnest(CAST(:ages AS integer[])) WITH ORDINALITY AS u (age, place) ORDER BY place)), count(*)
FROM {EVENTS} WHERE status = 'pending' GROUP BY 1
""")
RETRIES = text(f"""
SELECT coalesce(error_reason, '{NO_REASON}'), count(*), max(attempts),
    extract(epoch FROM min(next_retry_at) FILTER (WHERE isfinite(next_retry_at))
        - coalesce(:now, now()))::float8
FROM {EVENTS} WHERE status = 'pending' AND next_retry_at > coalesce(:now, now())
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST}
""")
# One range of the index that the claim reads.
NOT_DUE = text(f"""
SELECT count(*), coalesce(extract(epoch FROM max(next_retry_at) FILTER (WHERE isfinite(next_retry_at))
    - coalesce(:now, now())), 0)::float8
FROM {EVENTS} WHERE status = 'pending' AND next_retry_at > coalesce(:now, now())
""")


@dataclass(frozen=True)
class Aged:
    """Pending events created up to `within` seconds ago, and longer ago than the range before; None: any."""

    within: int | None
    count: int


@dataclass(frozen=True)
class NotDue:
    """How many events wait for a retry that is not due yet; the last of them is due in `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True)
class Retries:
    """Events that wait for their next attempt, of one reason; the first is due in `due_in` seconds."""

    error_reason: str
    count: int
    most_attempts: int
    due_in: float | None


def by_age(connection: Connection, *, now: datetime | None = None) -> list[Aged]:
    """Pending events by age, the youngest first; every range is there."""
    found: dict[int, int] = dict(connection.execute(BY_AGE, {"now": now, "ages": list(AGES)}).all())
    ranges = [*enumerate(AGES, 1)][::-1]
    return [Aged(age, found.get(place, 0)) for place, age in ranges] + [Aged(None, found.get(0, 0))]


def retries(connection: Connection, *, now: datetime | None = None) -> list[Retries]:
    """Retries that are not due yet, by reason, the most frequent first."""
    return [Retries(*row) for row in connection.execute(RETRIES, {"now": now})]


def not_due(connection: Connection, *, now: datetime | None = None) -> NotDue:
    """The retries that are not due yet, all together."""
    return NotDue(*connection.execute(NOT_DUE, {"now": now}).one())
