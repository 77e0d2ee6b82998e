"""The traces that events were written in: read only by a worker that traces, so no claim pays for them."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS

MOST = 128  # links a span: OpenTelemetry's own limit, by default
# By their ids, in the claim's transaction: its plan (claim.PLAN) is in force. Whatever type an application
# has given the column; several events of one span are one link.
READ = text(f"""
SELECT min(id::text), traceparent::text FROM {EVENTS}
WHERE id = ANY (CAST(:ids AS uuid[])) AND traceparent IS NOT NULL
GROUP BY 2 LIMIT {MOST}
""")

Traces = Sequence[tuple[str, str]]


def traces(connection: Connection, ids: Sequence[str]) -> Traces:
    """For each trace context among these events, at most MOST, one event's id and the `traceparent` itself.

    Raises UsageError (of the transaction, see Database.begin) where the schema has no such column yet.
    """
    # As one literal: a list of a thousand is dumped element by element.
    found = connection.execute(READ, {"ids": f"{{{','.join(ids)}}}"})
    return [(id_, trace) for id_, trace in found]
