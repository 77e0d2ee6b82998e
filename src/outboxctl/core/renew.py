"""Renewing: a claim whose delivery takes long keeps its events, up to the longest processing time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.claim import PLAN
from outboxctl.core.schema import EVENTS, source
from outboxctl.lifecycle import Verb

RENEW = text(f"""
UPDATE {EVENTS} SET lease_until = coalesce(:now, now()) + make_interval(secs => :lease),
    updated_at = coalesce(:now, now())
WHERE lease_token = ANY (CAST(:tokens AS uuid[])) AND status = {source(Verb.RENEW)}
    AND coalesce(:now, now()) - processing_started_at < make_interval(secs => :max_processing)
RETURNING lease_token::text
""")


def renew(
    connection: Connection,
    tokens: Sequence[str],
    *,
    lease: float,
    max_processing: float,
    now: datetime | None = None,
) -> set[str]:
    """Give these claims `lease` seconds more; returns the tokens of which something was still held."""
    connection.exec_driver_sql(PLAN)
    given = {"tokens": list(tokens), "lease": lease, "max_processing": max_processing, "now": now}
    return set(connection.execute(RENEW, given).scalars())
