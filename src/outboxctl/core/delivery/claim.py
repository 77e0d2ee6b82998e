"""Claim: a batch of due events of one projection becomes the worker's; documents are read afterwards."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.schema.names import (
    EVENTS,
    LEASED,
    OF_PROJECTION,
    PLAN,
    STATUS_IS,
    id_array,
    source,
    target,
)
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb
from outboxctl.domain.projection import DOCUMENTS, KEY_TOO_LONG, MAX_KEY_BYTES, MAX_PAGE_BYTES

GROUP = 200  # reclaimed events in one claim: as many must go alone if the worker dies again
PENDING = f"status = {source(Verb.CLAIM)}"
RECLAIMED = f"{PENDING} AND error_reason = '{Reason.LEASE_EXPIRED}'"
INNOCENT = f"{PENDING} AND error_reason IS DISTINCT FROM '{Reason.LEASE_EXPIRED}'"
IN_ORDER = f"ORDER BY {OF_PROJECTION}, next_retry_at, created_at"
RETRIES, FRESH = (
    f"FROM {EVENTS} WHERE {INNOCENT} AND {OF_PROJECTION} = {{name}} AND next_retry_at {when} {IN_ORDER}"
    for when in ("<= now()", "IS NULL")
)
OPEN = "<> ALL (CAST(:closed AS text[]))"

# The next projection after `after`, in the order of names and around, that has something due and is not
# `closed`: each name is one descent of the index, and so is each look for what is due. Then its retries that
# are due, since they are older, and fresh events: two ranges of one index, so that neither a million fresh
# events nor a million that wait for their retry are ever read past; nor is a backlog of another projection.
# Retries leave half of the claim to fresh events that are due: those of a shard that accepts no writes come
# back again and again, and so many of them would fill every claim.
# Rows that others have locked are passed over: a name without an event says that they are at it.
# `others`: a second projection has something due, so that nobody has to ask where none has.
NEXT = f"""
WITH RECURSIVE names (name, again) AS (
    SELECT CAST(:after AS text) COLLATE "C", false WHERE CAST(:only AS text) IS NULL
    UNION ALL
    SELECT next.name, next.again FROM names n CROSS JOIN LATERAL (
        (SELECT {OF_PROJECTION} AS name, n.again FROM {EVENTS}
            WHERE {PENDING} AND {OF_PROJECTION} > n.name {IN_ORDER} LIMIT 1)
        UNION ALL
        (SELECT {OF_PROJECTION}, true FROM {EVENTS} WHERE {PENDING} AND NOT n.again {IN_ORDER} LIMIT 1)
        LIMIT 1
    ) next WHERE NOT next.again OR next.name <= CAST(:after AS text)
), candidates AS MATERIALIZED (
    SELECT CAST(:only AS text) AS name WHERE CAST(:only AS text) IS NOT NULL
    UNION ALL
    (SELECT n.name FROM names n CROSS JOIN LATERAL (
        (SELECT 1 {RETRIES.format(name="n.name")} LIMIT 1)
        UNION ALL (SELECT 1 {FRESH.format(name="n.name")} LIMIT 1)
        LIMIT 1
    ) due WHERE (n.again OR n.name <> CAST(:after AS text)) AND n.name {OPEN} LIMIT 2)
), chosen AS MATERIALIZED (
    SELECT name, (SELECT count(*) FROM candidates) > 1 AS others FROM candidates LIMIT 1
), most AS MATERIALIZED (
    SELECT coalesce(CAST(CAST(:sizes AS json) ->> name AS integer), CAST(:size AS integer)) AS size
    FROM chosen
), retries AS MATERIALIZED (
    SELECT id {RETRIES.format(name="(SELECT name FROM chosen)")}
    LIMIT (SELECT size - CASE WHEN EXISTS (SELECT {RETRIES.format(name="(SELECT name FROM chosen)")} LIMIT 1)
        THEN (SELECT count(*) FROM (SELECT {FRESH.format(name="(SELECT name FROM chosen)")} LIMIT size / 2) f)
        ELSE 0 END FROM most) FOR UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT id {FRESH.format(name="(SELECT name FROM chosen)")}
    LIMIT (SELECT size FROM most) - (SELECT count(*) FROM retries) FOR UPDATE SKIP LOCKED
), due AS (SELECT id FROM retries UNION ALL SELECT id FROM fresh)"""
# Reclaimed events are never claimed with others: one of them may be what ended its worker. Those that were
# reclaimed once are claimed together (leases.py gives them a next_retry_at), after them the others (NULL)
# one by one. They have an index of their own, mostly empty; the conditions are written so that the
# planner cannot use the index of all that are due instead.
ONCE, ALONE = (
    f"FROM {EVENTS} WHERE {RECLAIMED} AND {condition} AND {OF_PROJECTION} {OPEN}"
    for condition in ("coalesce(next_retry_at, 'infinity') <= now()", "num_nulls(next_retry_at) = 1")
)
AGAIN = f"""
WITH chosen AS MATERIALIZED (
    SELECT {OF_PROJECTION} AS name {ONCE} ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
), together AS MATERIALIZED (
    SELECT id, {OF_PROJECTION} AS name {ONCE} AND {OF_PROJECTION} || '' = (SELECT name FROM chosen)
    ORDER BY created_at
    LIMIT least(CAST(CAST(:sizes AS json) ->> (SELECT name FROM chosen) AS integer), CAST(:size AS integer))
    FOR UPDATE SKIP LOCKED
), alone AS MATERIALIZED (
    SELECT id, {OF_PROJECTION} AS name {ALONE} ORDER BY created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM together) THEN 0 ELSE 1 END FOR UPDATE SKIP LOCKED
), due AS (SELECT * FROM together UNION ALL SELECT * FROM alone)"""
# No timestamp is returned: '-infinity' would break the decoder after the claim has committed; nor a key that
# is not needed, or would fill the memory of whoever gets a batch of them.
STATEMENT = f"""{{found}}, claimed AS (
    UPDATE {EVENTS} SET status = {target(Verb.CLAIM)}, {LEASED}, updated_at = now()
    WHERE id = ANY (ARRAY (SELECT id FROM due)) AND {STATUS_IS} {source(Verb.CLAIM)}
    RETURNING id, entity_type, entity_id, entity_key, op, event_version, attempts, follow, next_retry_at,
        created_at
)
SELECT c.id::text, CASE WHEN c.entity_key IS NULL THEN c.entity_type::text || ':' || c.entity_id::text
        WHEN c.follow IS NULL AND octet_length(c.entity_key) <= {MAX_KEY_BYTES} THEN c.entity_key
        WHEN c.follow = {DOCUMENTS} AND octet_length(c.entity_key) <= {MAX_PAGE_BYTES} THEN c.entity_key
        ELSE '' END,
    c.op, c.event_version, c.attempts, NULL, NULL,
    CASE WHEN c.follow IS NULL AND octet_length(c.entity_key) > {MAX_KEY_BYTES} THEN {KEY_TOO_LONG}
        ELSE c.follow END, {{name}}, {{others}}
FROM {{rows}} ORDER BY c.next_retry_at, c.created_at
"""
ROWS_OF_NEXT = "chosen LEFT JOIN claimed c ON true"
CLAIM = text(STATEMENT.format(found=NEXT, name="chosen.name", others="others", rows=ROWS_OF_NEXT))
CLAIM_AGAIN = text(STATEMENT.format(found=AGAIN, name=OF_PROJECTION, others="true", rows="claimed c"))
# Of its parameters, in a session that plans it once: parsing and planning it take more than 1 ms.
TYPES = {
    "owner": "text",
    "token": "uuid",
    "lease": "float8",
    "size": "integer",
    "closed": "text[]",
    "after": "text",
    "only": "text",
    "sizes": "json",
}


class Claimed(NamedTuple):
    """One claimed event, once its document was read with what that says of its source as it is then.

    `document_id` is the event's key until then; `document` is None where there is no row. `follow`: the event
    stands for all documents behind a row of that followed table, or KEY_TOO_LONG; its key is not read
    then, unless it is DOCUMENTS.
    """

    id: str
    document_id: str
    op: str
    event_version: int | None
    attempts: int
    source_version: int | None = None
    document: str | None = None
    follow: int | None = None


# As `Claimed._make`, in a third of its time: each event is made twice.
as_claimed: Callable[[Sequence[Any]], Claimed] = partial(tuple.__new__, Claimed)


class Taken(NamedTuple):
    """A claim: the projection, empty for the built-in one, None where none has anything due; its events.

    Without an event of it others have locked those that are due. `others`: another one may have some due.
    """

    name: str | None
    events: list[Claimed]
    others: bool = False


def claim(
    connection: Connection,
    *,
    owner: str,
    token: str,
    size: int,
    lease: float,
    after: str = "",
    closed: Collection[str] = (),
    sizes: Mapping[str, int] | None = None,
    only: str | None = None,
    reclaimed: bool = False,
    commit: bool = False,
) -> Taken:
    """Claim up to `size` due events of one projection under the fence `token` for `lease` seconds.

    It is the first one after the name `after`, and around, that has some and is not among `closed`, or `only`
    this one. Of those in `sizes` as many are claimed as that says. With `reclaimed` those are claimed, and no
    others: up to `size` that were reclaimed once, of any projection, or one that was more often.
    The attempt counts from here on: an event that kills its worker runs out of attempts.
    With `commit` the same message ends the transaction: after an error the events may be claimed.
    """
    values = {"owner": owner, "token": token, "size": size, "lease": lease, "closed": list(closed)}
    values |= {"sizes": json.dumps(sizes or {})}
    usual = PlannedOnce(CLAIM, values | {"after": after, "only": only}, TYPES)
    rows = send(connection, PLAN, (CLAIM_AGAIN, values) if reclaimed else usual, commit=commit)[0].rows
    if not rows:
        return Taken(None, [])
    *event, name, others = rows[0]
    return Taken(name, [as_claimed(row[:-2]) for row in rows] if event[0] is not None else [], others)


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
