"""Follow events: one changed row that stands for all documents behind it, expanded in pages of key events.

Such an event has `follow`, EVERYTHING (-1) or the place that the followed table had in the projection, and in
`entity_key` the row's columns as JSON, with the name of the followed table (`Follow.name`): places change. A
statement of many rows writes arrays of columns, or with DOCUMENTS (-2) an array of documents' keys, as half a
page of many keys does, which is due at once (`follow_pages.write`). Another event waits with `next_retry_at`
= infinity, so that no lane claims it. `follow_cursor` is JSON: `of` is the stamp of the definition that it is
expanded by, `after` the last key so far, `done` the number of keys, `events` the first and the last event of
the last half page. The next keys are written once those in `waits_for`, of the half page before, were
claimed: so the events of others wait for one page at most. Of the event for every document, `index` is the
place in the index: its ids for which the view has no row come before the rows of the view.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from outboxctl.core.delivery import settle
from outboxctl.core.projections import follow_keys, follow_pages, follow_tables
from outboxctl.core.projections.follow_keys import KeysAhead, Page
from outboxctl.core.projections.follow_pages import CURSOR, HALF, KEY, NAME, FollowEvent, cursor_of
from outboxctl.core.projections.follow_tables import FOLLOWS, FRESH, FollowedTable
from outboxctl.core.projections.in_force import STAMP
from outboxctl.core.schema.names import EVENTS, LEASED, PLAN, STATUS_IS, UNHELD, id_array
from outboxctl.core.sql import Connection, text
from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, MAX_KEY_BYTES, MAX_PAGE_BYTES, Projection

SAME_AMONG = 10_000  # events of the table that are looked at for others of the same row
CLAIM = f"""
WITH due AS MATERIALIZED (SELECT id FROM {EVENTS} WHERE {FOLLOWS} AND entity_type = :name AND follow = :place
    AND {{which}} ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE {EVENTS} e SET status = 'processing', {LEASED}, updated_at = now()
FROM due WHERE e.id = due.id AND e.{STATUS_IS} 'pending'
RETURNING e.id::text, e.entity_type, e.follow, {KEY}, {CURSOR}, e.attempts,
    {STAMP.format(name="e.entity_type")}
"""
CLAIM_FRESH = text(CLAIM.format(which=FRESH))
CLAIM_BEGUN = text(CLAIM.format(which="id = CAST(:id AS uuid)"))
# Back in its place, and with its attempt: a lane has claimed it, or one of its pages has been written.
PUT_BACK = text(f"""
UPDATE {EVENTS} SET status = 'pending', next_retry_at = 'infinity', error_reason = NULL, error = NULL,
    attempts = greatest(attempts - 1, 0), {UNHELD}, updated_at = now(),
    follow_cursor = CASE WHEN NOT :again THEN coalesce(:cursor, follow_cursor) END
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} 'processing' AND lease_token = CAST(:token AS uuid)
""")
# Events of the same row that wait beside it see the same keys, as this statement's snapshot sees them; the
# event for every document stands for all others. One that another session has locked is expanded by itself:
# to wait for its lock could fail this event (55P03).
DONE = f"""
UPDATE {EVENTS} SET status = 'done', processed_at = now(), next_retry_at = NULL, updated_at = now()
WHERE {STATUS_IS} 'pending' AND id IN (SELECT id FROM {EVENTS} WHERE {FOLLOWS} AND entity_type = :name
    AND {FRESH} AND {{same}} FOR UPDATE SKIP LOCKED)
"""
SAME = text(
    DONE.format(
        same=f"""id = ANY (ARRAY (
        SELECT id FROM (SELECT id, entity_key FROM {EVENTS}
            WHERE {FOLLOWS} AND entity_type = :name AND follow = :place AND {FRESH}
            ORDER BY created_at LIMIT {SAME_AMONG}) n WHERE entity_key = :key))"""
    )
)
ALL = text(DONE.format(same="true"))
IN_HAND = text(f"""
SELECT DISTINCT entity_key, follow FROM {EVENTS}
WHERE status = 'processing' AND entity_type = :name
    AND (follow IS NULL AND octet_length(entity_key) <= {MAX_KEY_BYTES}
        OR follow = {DOCUMENTS} AND octet_length(entity_key) <= {MAX_PAGE_BYTES})
""")


def claim(
    connection: Connection, table: FollowedTable, *, owner: str, token: str, lease: float, begun: bool
) -> FollowEvent | None:
    """Claim the begun event of a followed table that is due, or the oldest one that has not begun.

    None where others have claimed or locked it.
    """
    connection.exec_driver_sql(PLAN)
    values = {"name": table.projection, "place": table.place, "id": table.due}
    more = {"owner": owner, "token": token, "lease": lease}
    row = connection.execute(CLAIM_BEGUN if begun else CLAIM_FRESH, values | more).one_or_none()
    if row is None:
        return None
    id_, name, place, key, cursor, attempts, stamp = row
    return FollowEvent(id_, name, place, key, cursor_of(cursor), attempts, stamp, table.together)


def put_back(
    connection: Connection,
    token: str,
    ids: Sequence[str],
    cursor: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
) -> None:
    """Have these events wait again as follow events, with their attempt, and with this cursor if given.

    `again`: as ones that nothing was written for, to be expanded from their start.
    """
    as_json = None if cursor is None else json.dumps(cursor, ensure_ascii=False)
    values = {"token": token, "ids": id_array(ids), "cursor": as_json, "again": again}
    connection.execute(PUT_BACK, values)


def start_again(connection: Connection, event: FollowEvent, token: str, *, everything: bool) -> None:
    """Have a claimed event wait again, with its attempt, as one that nothing was written for.

    With `everything` one for every document of its projection waits in its place.
    """
    if everything:
        _replace(connection, event, token, EVERYTHING, [""])
    else:
        put_back(connection, token, [event.id], again=True)


def expand(
    connection: Connection,
    projection: Projection,
    event: FollowEvent,
    token: str,
    *,
    size: int,
    seconds: float,
    lock_seconds: float = LOCK_SECONDS,
    holds: str = "",
) -> Page | None:
    """Read at most `size` keys and write the first of them; after the last one the event is done.

    Returns None where the claim is another worker's by now, and nothing was written. Raises as
    `follow_keys.read`.
    """
    if event.id not in settle.hold(connection, token):
        return None
    if not event.cursor:
        _complete_same(connection, event)
    ahead = follow_keys.read(
        connection, projection, event, size=size, seconds=seconds, lock_seconds=lock_seconds, holds=holds
    )
    return write_ahead(connection, ahead, token)


def write_ahead(connection: Connection, ahead: KeysAhead, token: str) -> Page:
    """Write half a page of these keys, of a claimed event; after the last one the event is done."""
    event, keys, rest = ahead.event, ahead.keys[:HALF], ahead.keys[HALF:]
    events = follow_pages.write(connection, event, keys)
    if not (rest or ahead.more):
        settle.write(connection, token, done=[event.id])
        return Page(len(keys), end=True, ends=events, unchanged=ahead.unchanged)
    cursor = event.behind(keys, events, {"after": keys[-1] if rest else ahead.last})
    put_back(connection, token, [event.id], cursor)
    left = replace(ahead, event=replace(event, cursor=cursor), keys=rest, unchanged=0)
    return Page(len(keys), ahead=left if rest else None, unchanged=ahead.unchanged)


def write_rows(connection: Connection, event: FollowEvent, token: str) -> Page | None:
    """Write a follow event of each row of an event of several, which ends. None as `expand`."""
    rows = [{NAME: event.name, **row} if event.name else row for row in event.rows]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    return Page(0, end=True) if _replace(connection, event, token, event.place, texts) else None


def _replace(connection: Connection, event: FollowEvent, token: str, place: int, keys: Sequence[str]) -> bool:
    """End a claimed event with others of this place in its stead; False where the claim was lost."""
    if event.id not in settle.hold(connection, token):
        return False
    follow_tables.write_instead(connection, event.projection, place, keys)
    settle.write(connection, token, done=[event.id])
    return True


def begin(connection: Connection, event: FollowEvent, token: str) -> Page | None:
    """Write events of the keys that workers have in hand, before the ids of the index are listed.

    Their documents may have been read before the change, and be in the index only after its ids were listed.
    Returns None where the claim is another worker's by now, and nothing was written.
    """
    if event.id not in settle.hold(connection, token):
        return None
    _complete_same(connection, event)
    found = connection.execute(IN_HAND, {"name": event.projection})
    keys = [*{key: None for text, place in found for key in follow_pages.named(text, place)}]
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
    return _write_keys(connection, event, token, keys, {"index": place})


def _write_keys(
    connection: Connection, event: FollowEvent, token: str, keys: Sequence[str], place: Mapping[str, Any]
) -> Page:
    events = follow_pages.write(connection, event, keys)
    put_back(connection, token, [event.id], event.behind(keys, events, place))
    return Page(len(keys))


def _complete_same(connection: Connection, event: FollowEvent) -> None:
    if event.of_several or event.place == DOCUMENTS:
        return  # others of the same rows are rare, and their keys long
    same = {"name": event.projection, "place": event.place, "key": event.key}
    connection.execute(ALL if event.place == EVERYTHING else SAME, same)
