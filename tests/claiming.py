"""A claim with its documents, as a worker has it once they were read."""

from uuid import uuid4

from outboxctl.core.delivery.claim import GROUP, Claimed, claim
from outboxctl.core.documents.table import TableSource
from outboxctl.core.sql import Connection


def claimed(
    connection: Connection, size: int, *, lease: float, token: str = "", reclaimed: int = GROUP
) -> list[Claimed]:
    """Events of search_index: reclaimed ones, or else up to `size` others."""
    given = {"owner": "w", "token": token or str(uuid4()), "lease": lease}
    again = claim(connection, **given, size=reclaimed, reclaimed=True).events if reclaimed else []  # type: ignore[arg-type]
    events = again or claim(connection, **given, size=size).events  # type: ignore[arg-type]
    rows = TableSource().read(connection, [event.document_id for event in events], content=True)
    return [
        event._replace(source_version=row.version, document=row.text)
        for event, row in zip(events, rows, strict=True)
    ]
