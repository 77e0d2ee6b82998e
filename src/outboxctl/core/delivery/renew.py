"""Renewing: a claim whose delivery takes long keeps its events, up to the longest processing time."""

from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS, STATUS_IS, source
from outboxctl.domain.lifecycle import Verb

# One that somebody else has locked is not waited for: the others' lease would run out meanwhile.
CLAIM = "lease_token = CAST(:token AS uuid)"
RENEW = text(f"""
UPDATE {EVENTS} SET lease_until = coalesce(:now, now()) + make_interval(secs => :lease),
    updated_at = coalesce(:now, now())
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {CLAIM} AND status = {source(Verb.RENEW)}
        AND coalesce(:now, now()) - processing_started_at < make_interval(secs => :max_processing)
    FOR NO KEY UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RENEW)} AND {CLAIM}
RETURNING id
""")


def renew(
    connection: Connection,
    token: str,
    *,
    lease: float,
    max_processing: float,
    now: datetime | None = None,
) -> bool:
    """Give this claim `lease` seconds more from now; False if nothing of it is ours, or it took too long.

    An event that somebody else has locked keeps the lease that it has.
    """
    connection.exec_driver_sql(PLAN)
    given = {"token": token, "lease": lease, "max_processing": max_processing, "now": now}
    return bool(connection.execute(RENEW, given).all())
