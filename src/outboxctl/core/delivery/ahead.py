"""Telling a superseded event from an index that is ahead: both are version conflicts at the sink."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS, SOURCE

UNCHANGED = text(f"""
SELECT e.id::text FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) sent (id, version)
JOIN {EVENTS} e ON e.id = sent.id
JOIN {SOURCE} s ON s.entity_type = e.entity_type AND s.entity_id = e.entity_id
WHERE s.event_version = sent.version
""")


def ahead(connection: Connection, sent: Mapping[str, int]) -> set[str]:
    """Of events (id to source version sent) that met a newer document: those whose source is unchanged.

    A row that has moved on was overtaken, as it should be. One that has not is older than its own
    document: an entity recreated with versions that start again, or a foreign writer to the index.
    """
    if not sent:
        return set()
    connection.exec_driver_sql(
        PLAN
    )  # a settle before it may have left only a hash join: of whole tables here
    given = {"ids": list(sent), "versions": list(sent.values())}
    return set(connection.execute(UNCHANGED, given).scalars())
