"""Claim: a batch of due events becomes the worker's, and its source rows are read, in one statement."""

from collections.abc import Sequence
from typing import NamedTuple

from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.schema.names import (
    DOCUMENT,
    EVENTS,
    FIELDS,
    ONE_MORE_ATTEMPT,
    SHORTEST,
    SOURCE,
    STATUS_IS,
    id_array,
    source,
    target,
)
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb

# The plan must not depend on statistics: on a table that was emptied and vacuumed they say "no rows".
# With these off, each step has only its index to use. SET LOCAL also survives a pooler. What an earlier
# statement of the transaction set otherwise (settle_statements.JOIN) is set back.
PLAN = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'"
)

LEFT_OUT = ""  # in place of a document for which the batch had no room; the text of none is empty
GROUP = 200  # reclaimed events in one claim: as many must go alone if the worker dies again
INNOCENT = f"error_reason IS DISTINCT FROM '{Reason.LEASE_EXPIRED}'"
RECLAIMED = f"status = {source(Verb.CLAIM)} AND error_reason = '{Reason.LEASE_EXPIRED}'"

# Reclaimed events are never claimed with others: one of them may be what ended its worker. Those that were
# reclaimed once are claimed together (reclaim.py gives them a next_retry_at), after them the others (NULL)
# one by one. They have an index of their own, mostly empty; the conditions on next_retry_at are written so
# that the planner cannot use the index of all that are due instead.
# Else retries that are due come first: they are older. Two ranges of one partial index, so that neither
# a million fresh events nor a million waiting for their retry are ever read past. Only reclaimed ones
# are, while they wait: 30,000 cost 25 ms.
# The fence is lease_token. No timestamp is returned: '-infinity' would break the decoder after
# the claim has committed. The document is JSON text made by the server; the worker never parses it.
# A batch is as many of the oldest documents as have room, and at least one. The rest is left out on the
# server: to receive it would cost the memory that the limit saves. In the measured form a document that is
# certain to have no room is not made, by the lengths of its values: a thousand large ones take many seconds.
# It costs 4 us an event more, so it is used only once a claim has failed or come too late.
STATEMENT = f"""
WITH together AS MATERIALIZED (
    SELECT id FROM {EVENTS} WHERE {RECLAIMED} AND coalesce(next_retry_at, 'infinity') <= now()
    ORDER BY created_at LIMIT CAST(:reclaimed AS integer) FOR UPDATE SKIP LOCKED
), alone AS MATERIALIZED (
    SELECT id FROM {EVENTS} WHERE {RECLAIMED} AND num_nulls(next_retry_at) = 1 ORDER BY created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM together) THEN 0 ELSE least(CAST(:reclaimed AS integer), 1) END
    FOR UPDATE SKIP LOCKED
), reclaimed AS MATERIALIZED (
    SELECT id FROM together UNION ALL SELECT id FROM alone
), retries AS MATERIALIZED (
    SELECT id FROM {EVENTS}
    WHERE status = {source(Verb.CLAIM)} AND next_retry_at <= now() AND {INNOCENT}
    ORDER BY next_retry_at, created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM reclaimed) THEN 0 ELSE :size END FOR UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT id FROM {EVENTS}
    WHERE status = {source(Verb.CLAIM)} AND next_retry_at IS NULL AND {INNOCENT}
    ORDER BY next_retry_at, created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM reclaimed) THEN 0 ELSE :size END - (SELECT count(*) FROM retries)
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE {EVENTS} SET
        status = {target(Verb.CLAIM)}, owner = :owner, lease_token = CAST(:token AS uuid),
        lease_until = now() + make_interval(secs => :lease),
        processing_started_at = now(),
        attempts = {ONE_MORE_ATTEMPT}, updated_at = now()
    WHERE id = ANY (ARRAY (
        SELECT id FROM reclaimed UNION ALL SELECT id FROM retries UNION ALL SELECT id FROM fresh))
        AND {STATUS_IS} {source(Verb.CLAIM)}
    RETURNING id, entity_type, entity_id, op, event_version, attempts, next_retry_at, created_at,
        entity_key,
        CASE WHEN num_nonnulls(entity_key) = 1 THEN concat_ws('/', entity_type, follow) END AS projection
{{made}}), found AS (
    SELECT *, sum(octet_length(document)) OVER (ROWS UNBOUNDED PRECEDING) AS so_far FROM made
)
SELECT event::text, document_id, op, wanted, attempts, source_version,
    CASE WHEN so_far > :max_bytes AND so_far > octet_length(document) THEN '{LEFT_OUT}' ELSE document END,
    projection
FROM found
"""
# Types for which PostgreSQL has exact operators: no other schema can have a better match.
ID = "coalesce(c.entity_key, c.entity_type::text || ':' || c.entity_id::text)"
EACH = f"""SELECT c.id AS event, {ID} AS document_id, c.op, c.event_version AS wanted, c.attempts,
        c.projection"""
IN_ORDER = "(SELECT * FROM claimed ORDER BY next_retry_at, created_at) c"
WITH_SOURCE = f"""{IN_ORDER} LEFT JOIN LATERAL (
        SELECT {{columns}} FROM {SOURCE} s
        WHERE s.entity_type = c.entity_type AND s.entity_id = c.entity_id
            AND num_nonnulls(c.projection) = 0 LIMIT 1
    ) s ON true"""
MADE = f"""), made AS (
    {EACH}, s.event_version AS source_version, s.document
    FROM {WITH_SOURCE.format(columns=f"s.event_version, {DOCUMENT} AS document")}
"""
MEASURED = f"""), measured AS (
    {EACH}, s.*, sum(s.shortest) OVER (ROWS UNBOUNDED PRECEDING) AS so_far
    FROM {WITH_SOURCE.format(columns=f"{FIELDS}, {SHORTEST} AS shortest")}
), made AS (
    SELECT event, document_id, op, wanted, attempts, projection, s.event_version AS source_version,
        CASE WHEN s.entity_id IS NULL THEN NULL
            WHEN so_far > :max_bytes AND so_far > shortest THEN '{LEFT_OUT}'
            ELSE {DOCUMENT} END AS document
    FROM measured s
"""
# Nothing of the application's is read: a row that raises cannot make this claim fail.
APART = f"""), made AS (
    {EACH}, CAST(NULL AS bigint) AS source_version,
        CASE WHEN num_nulls(c.projection) = 1 THEN '{LEFT_OUT}' END AS document
    FROM {IN_ORDER}
"""
CLAIM, CLAIM_MEASURED, UNREAD = (text(STATEMENT.format(made=made)) for made in (MADE, MEASURED, APART))
# Of its parameters, in a session that plans it once: parsing and planning it take 1 ms.
TYPES = {
    "owner": "text",
    "token": "uuid",
    "size": "integer",
    "lease": "float8",
    "reclaimed": "integer",
    "max_bytes": "bigint",
}


class Claimed(NamedTuple):
    """One claimed event with its source row as it is now.

    `document` is None where there is no source row, LEFT_OUT where the batch had no room for it, or it was
    not read.

    `projection` is None for an event of search_index. Else it is the name of a declared projection, with "/"
    and a place where the event stands for all documents behind a row of that followed table; `document_id` is
    the event's key then, and there is neither a version nor a document before these are read.
    """

    id: str
    document_id: str
    op: str
    event_version: int | None
    attempts: int
    source_version: int | None
    document: str | None
    projection: str | None = None


def claim(
    connection: Connection,
    *,
    owner: str,
    token: str,
    size: int,
    lease: float,
    reclaimed: int = GROUP,
    max_bytes: int | None = None,
    read: bool = True,
    measure: bool = False,
    commit: bool = False,
) -> list[Claimed]:
    """Claim up to `size` due events under the fence `token` for `lease` seconds.

    Reclaimed events, if there are any, are the batch, whatever `size` is: up to `reclaimed` of those that
    were reclaimed once, or one of the others. With 0 none of them is claimed.
    The documents have at most `max_bytes` (UTF-8; None: no limit) in all, or there is only one; those of
    younger events are left out. Without `read` all are left out, with the versions of their rows, whether
    these are there or not; with `measure` none is made that is left out for its length.
    The attempt counts from here on: an event that kills its worker runs out of attempts.
    With `commit` the same message ends the transaction: after an error the events may be claimed.
    """
    values = {"owner": owner, "token": token, "size": size, "lease": lease, "reclaimed": reclaimed}
    values |= {"max_bytes": max_bytes}
    usual = PlannedOnce(CLAIM, values, TYPES)
    statement = usual if read and not measure else (CLAIM_MEASURED if read else UNREAD, values)
    ((rows, _),) = send(connection, PLAN, statement, commit=commit)
    return list(map(Claimed._make, rows))


MAX_LINKS = 128  # links a span: OpenTelemetry's own limit, by default
# Read only by a worker that traces, in the claim's transaction (PLAN is in force). The column may have any
# type that an application chose; several events of one span are one link.
READ_TRACES = text(f"""
SELECT min(id::text), traceparent::text FROM {EVENTS}
WHERE id = ANY (CAST(:ids AS uuid[])) AND traceparent IS NOT NULL
GROUP BY 2 LIMIT {MAX_LINKS}
""")

Traces = Sequence[tuple[str, str]]


def traces(connection: Connection, ids: Sequence[str]) -> Traces:
    """One event's id and the `traceparent` of each trace among these events, at most MAX_LINKS."""
    return [(id_, trace) for id_, trace in connection.execute(READ_TRACES, {"ids": id_array(ids)})]
