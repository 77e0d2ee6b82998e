"""Which of many keys need no event: those of documents that the index holds as they are.

A place that is closed proves it (core/delivery/places.py), and the snapshot is younger than the change that
the keys were found for. What cannot be told here has an event, and a lane looks at it.
"""

from collections.abc import Sequence
from uuid import uuid4

from outboxctl.core.projections import document_sql, documents
from outboxctl.core.projections.document_sql import MADE
from outboxctl.core.projections.documents import Opening
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.schema.names import REBUILDS
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.clock import monotonic
from outboxctl.domain.projection import Projection, key_parts

LOOKED = 2_000  # keys in a statement
SECONDS = 1.0  # for it: documents that take longer are left to the lanes, which are several
SHARE = 0.5  # of the time that a statement may take, for all of them: other tables wait
# A new index is filled beside the events: it learns only from them which documents to read again.
CHANGED = f"""
WITH {MADE}
SELECT place FROM made GROUP BY place
HAVING count(*) > 1 OR bool_or(num_nonnulls(address) = 1)
    OR NOT coalesce((SELECT {{stamp}} = %(stamp)s), false)
    OR EXISTS (SELECT FROM {REBUILDS} r WHERE r.alias = %(alias)s AND num_nulls(r.ended_at) = 1)
ORDER BY place
"""


def without(
    connection: Connection, projection: Projection, keys: Sequence[str], holds: str, *, seconds: float
) -> tuple[list[str], int]:
    """Those of these keys that need an event, in their order, and how many were looked at.

    In statements of at most `seconds`. `holds` as `Opening`; with an empty one each needs an event. Where
    most of some do, so do all after them.
    """
    left, looked, until = list[str](), 0, monotonic() + seconds * SHARE
    while looked < len(keys):
        some = keys[looked : looked + LOOKED]
        found = _changed(connection, projection, some, holds, min(SECONDS, seconds))
        left, looked = [*left, *found], looked + len(some)
        if 2 * len(found) > len(some):
            return [*left, *keys[looked:]], len(keys)
        if monotonic() > until:
            break
    return left, looked


def _changed(
    connection: Connection, projection: Projection, keys: Sequence[str], holds: str, seconds: float
) -> Sequence[str]:
    """Those of these keys that need an event: all where that cannot be told in `seconds`."""
    if not holds:
        return keys
    try:
        parts = [key_parts(key, len(projection.key)) for key in keys]
        values = documents.parameters(projection, parts, Opening(str(uuid4()), holds))
        with undone(connection):
            documents.prepare_documents(connection, projection.document, seconds)
            connection.exec_driver_sql(documents.JOINED)
            query = document_sql.statement(projection, "", places(connection), sending=True, template=CHANGED)
            with reading_rows(connection):
                rows = connection.exec_driver_sql(query, values | {"alias": projection.index})
                return [keys[place - 1] for place in rows.scalars()]
    except (ValueError, ReadRefusedError):
        return keys
