"""The events of a storm that failed, which none may."""

import psycopg

FAILED = """
SELECT concat_ws(': ', error_reason, left(min(error), 200)), count(*) FROM search_outbox_events
WHERE entity_type = %s AND status = 'failed' GROUP BY error_reason
"""


def failed(sql: psycopg.Connection, entity_type: str) -> dict[str, int]:
    """How many events of this type failed, by their reason, with one of the errors."""
    return {str(reason): count for reason, count in sql.execute(FAILED, [entity_type]).fetchall()}
