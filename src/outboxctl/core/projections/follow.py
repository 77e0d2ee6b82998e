"""Follow events: one changed row that stands for all documents behind it, expanded in pages of key events.

Such an event has `follow`, the place of the followed table in the projection, and in `entity_key` the row's
columns as JSON. It waits with `next_retry_at` = infinity, so that no lane claims it. `follow_cursor` is JSON:
`after` is the last key of the pages so far, `done` their number of keys, `last` an event of the last page:
the next page is written once that one was claimed, so that the events of others wait for one page at most. Of
the event for every document, `index` is the place in the index, whose ids come before the rows of the view.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.delivery import settle
from outboxctl.core.delivery.claim import CLAIMING, PLAN
from outboxctl.core.projections.documents import session
from outboxctl.core.projections.follow_pages import PAGE, FollowEvent, page_statement
from outboxctl.core.schema.names import EVENTS, STATUS_IS, UNHELD, id_array
from outboxctl.domain.projection import Projection

LOOKED_AT = 200  # follow events that may wait for their last page, before one that does not
CLAIM = text(f"""
WITH due AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, follow_cursor FROM {EVENTS} WHERE status = 'pending' AND next_retry_at = 'infinity'
            AND follow IS NOT NULL
        ORDER BY created_at LIMIT {LOOKED_AT} FOR UPDATE SKIP LOCKED) f
    WHERE NOT EXISTS (SELECT FROM {EVENTS} p WHERE p.id = CAST(CAST(f.follow_cursor AS json)->>'last' AS uuid)
        AND p.{STATUS_IS} 'pending')
    LIMIT 1
)
UPDATE {EVENTS} e SET status = 'processing', owner = :owner, lease_token = CAST(:token AS uuid),
    lease_until = now() + make_interval(secs => :lease), processing_started_at = now(),
    attempts = least(coalesce(attempts, 0), 2147483646) + 1, updated_at = now()
FROM due WHERE e.id = due.id AND e.{STATUS_IS} 'pending'
RETURNING e.id::text, e.entity_type, e.follow, e.entity_key, e.follow_cursor, e.attempts
""")
# Back in its place, and with its attempt: a lane has claimed it, or one of its pages has been written.
PUT_BACK = text(f"""
UPDATE {EVENTS} SET status = 'pending', next_retry_at = 'infinity', error_reason = NULL, error = NULL,
    attempts = greatest(attempts - 1, 0), follow_cursor = coalesce(:cursor, follow_cursor), {UNHELD},
    updated_at = now()
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} 'processing' AND lease_token = CAST(:token AS uuid)
""")
# Events of the same row that wait beside it see the same keys, as this statement's snapshot sees them.
SAME = text(f"""
UPDATE {EVENTS} SET status = 'done', processed_at = now(), next_retry_at = NULL, updated_at = now()
WHERE status = 'pending' AND next_retry_at = 'infinity' AND follow = :place AND entity_type = :name
    AND entity_key = :key AND follow_cursor IS NULL
""")
WRITE_KEYS = text(f"""
WITH page AS MATERIALIZED (
    SELECT place, key, gen_random_uuid() AS id
    FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY k (key, place)
), written AS (
    INSERT INTO {EVENTS} (id, entity_type, entity_id, op, entity_key)
    SELECT id, CAST(:name AS text), CAST(md5(concat(CAST(:name AS text), ':', key)) AS uuid), 'upsert', key
    FROM page ORDER BY place
)
SELECT CAST(id AS text) FROM page ORDER BY place DESC LIMIT 1
""")

IN_HAND = text(f"""
SELECT DISTINCT entity_key FROM {EVENTS}
WHERE status = 'processing' AND entity_type = :name AND entity_key IS NOT NULL AND follow IS NULL
""")


@dataclass(frozen=True)
class Page:
    """A page that was written: its number of keys, the last one, and the id of one of its events.

    `end`: no other page follows.
    """

    keys: int
    last_key: str | None
    event: str | None
    end: bool = False


def claim(connection: Connection, *, owner: str, token: str, lease: float) -> FollowEvent | None:
    """Claim the oldest follow event whose last page was claimed; None where there is none."""
    connection.exec_driver_sql(CLAIMING)
    row = connection.execute(CLAIM, {"owner": owner, "token": token, "lease": lease}).one_or_none()
    if row is None:
        return None
    id_, name, place, key, cursor, attempts = row
    return FollowEvent(id_, name, place, key, json.loads(cursor or "{}"), attempts)


def put_back(connection: Connection, token: str, ids: Sequence[str], cursor: str | None = None) -> None:
    """Have these events wait again as follow events, with their attempt, and with this cursor if given."""
    connection.execute(PUT_BACK, {"token": token, "ids": id_array(ids), "cursor": cursor})


def expand(
    connection: Connection, projection: Projection, event: FollowEvent, token: str, *, seconds: float
) -> Page | None:
    """Write the next page of key events and the cursor; after the last page the event is done.

    Returns None where the claim is another worker's by now, and nothing was written. Raises ValueError for an
    event that does not fit the projection; through Database.begin what PostgreSQL raises for its query.
    """
    statement, values = page_statement(projection, event)
    if event.id not in settle.hold(connection, token):
        return None
    connection.exec_driver_sql(session(seconds))
    if not event.cursor:
        same = {"name": event.projection, "place": event.place, "key": event.key}
        connection.execute(SAME, same)
    row = connection.exec_driver_sql(statement, values).one_or_none()
    page = Page(row[0], row[1], row[2], end=row[0] < PAGE) if row else Page(0, None, None, end=True)
    if not page.end:
        done = int(event.cursor.get("done", 0)) + page.keys
        put_back(connection, token, [event.id], json.dumps(dict(event.cursor) | _cursor(page, done)))
    else:
        settle.complete(connection, token, [event.id])
    return page


def _cursor(page: Page, done: int) -> dict[str, Any]:
    return {"after": page.last_key, "done": done, "last": page.event}


def begin(connection: Connection, event: FollowEvent, token: str) -> Page | None:
    """Write events of the keys that workers have in hand, before the ids of the index are listed.

    Their documents may have been read before the change, and be in the index only after its ids were listed.
    Returns None where the claim is another worker's by now, and nothing was written.
    """
    if event.id not in settle.hold(connection, token):
        return None
    connection.exec_driver_sql(PLAN)
    connection.execute(SAME, {"name": event.projection, "place": event.place, "key": event.key})
    keys = connection.execute(IN_HAND, {"name": event.projection}).scalars().all()
    return _write_keys(connection, event, token, keys, {})


def write_keys(
    connection: Connection,
    event: FollowEvent,
    token: str,
    keys: Sequence[str],
    place: Mapping[str, Any] | None,
) -> Page | None:
    """Write events of these keys, found in the index at `place`; after the last place the rows follow.

    Returns None where the claim is another worker's by now, and nothing was written.
    """
    if event.id not in settle.hold(connection, token):
        return None
    connection.exec_driver_sql(PLAN)
    return _write_keys(connection, event, token, keys, {"index": place})


def _write_keys(
    connection: Connection, event: FollowEvent, token: str, keys: Sequence[str], cursor: Mapping[str, Any]
) -> Page:
    last = connection.execute(WRITE_KEYS, {"name": event.projection, "keys": [*keys]}).scalar()
    done = int(event.cursor.get("done", 0)) + len(keys)
    put_back(connection, token, [event.id], json.dumps({"done": done, "last": last} | dict(cursor)))
    return Page(len(keys), None, last)
