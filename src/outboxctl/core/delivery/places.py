"""Where the documents of a projection may be, where their keys do not say it, and what they hold there.

A row is an address (index and `_id`) that the document of a key may have: more of them than are true, never
fewer. It is opened before anything is sent to its address, by a token of whoever sends, and what is sent is
read after that: the snapshot shows the token. So of two that send to one address, who opened it later has
read later, and its version wins. A row whose token is still the sender's when the index has confirmed what
was sent is closed, with a hash of that; or it is removed, after a delete. Whoever sees it closed knows what
the index holds: all that is sent there later is read later, too.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from outboxctl.core.message import Statement, send
from outboxctl.core.schema.names import PLACES, PLAN, REBUILDS
from outboxctl.core.sql import Connection, text

ENTITY = "CAST(md5(concat(CAST(:projection AS text), ':', g.key)) AS uuid)"
GIVEN = """ROWS FROM (json_array_elements_text(CAST(:keys AS json)),
    json_array_elements_text(CAST(:indexes AS json)), json_array_elements_text(CAST(:ids AS json)))
    g (key, index_name, document_id)"""
SAME = "p.projection = :projection AND p.document_id = g.document_id AND p.index_name = g.index_name"
# A row that another session is removing is waited for, and written again.
OPEN = text(f"""
INSERT INTO {PLACES} AS p (projection, entity_id, entity_key, index_name, document_id, opened)
SELECT DISTINCT ON (g.document_id, g.index_name, 2) :projection, {ENTITY}, g.key, g.index_name,
    g.document_id, CAST(:token AS uuid)
FROM {GIVEN} ORDER BY g.document_id, g.index_name, 2
ON CONFLICT (projection, document_id, index_name, entity_id)
    DO UPDATE SET opened = EXCLUDED.opened, content = NULL
""")
NOTE = text(f"""
INSERT INTO {PLACES} (projection, entity_id, entity_key, index_name, document_id)
SELECT :projection, {ENTITY}, g.key, g.index_name, g.document_id
FROM {GIVEN} ORDER BY g.document_id, g.index_name, 2 ON CONFLICT DO NOTHING
""")
SETTLED = f"""FROM (SELECT * FROM ROWS FROM (json_array_elements_text(CAST(:keys AS json)),
        json_array_elements_text(CAST(:indexes AS json)), json_array_elements_text(CAST(:ids AS json)),
        json_array_elements_text(CAST(:tokens AS json)), json_array_elements_text(CAST(:contents AS json)))
        n (key, index_name, document_id, token, content) ORDER BY document_id, index_name, key) g
WHERE {SAME} AND p.entity_id = {ENTITY} AND p.opened = CAST(g.token AS uuid)"""
CLOSE = text(f"""
UPDATE {PLACES} p SET content = decode(g.content, 'hex'),
    opened = CASE WHEN num_nulls(g.content) = 0 THEN p.opened END
{SETTLED}
""")
# While an index of before is kept, or a new one is filled, it may have what is removed from the other one.
# Until that has ended the row stays, closed, or opened by nobody where no hash is kept.
REMOVE = text(f"""
DELETE FROM {PLACES} p USING {SETTLED.removeprefix("FROM ")} AND num_nulls(g.content) = 1
    AND NOT EXISTS (SELECT FROM {REBUILDS} r WHERE r.alias = p.index_name
        AND (num_nulls(r.ended_at) = 1 OR num_nonnulls(r.kept_index) = 1))
""")
FORGET = text(f"""
UPDATE {PLACES} p SET content = NULL, opened = NULL
FROM json_array_elements_text(CAST(:keys AS json)) g (key)
WHERE p.projection = :projection AND p.entity_id = {ENTITY}
""")
KNOWN = text(f"""
SELECT EXISTS (SELECT FROM {PLACES} WHERE projection = :projection AND index_name = :alias)
""")
DROP = text(f"DELETE FROM {PLACES} WHERE projection = :projection")


class DocumentPlace(NamedTuple):
    """An address that the document of a key of a projection may have."""

    projection: str
    key: str
    alias: str
    id: str


class PlaceWrite(NamedTuple):
    """What becomes of a place once its address has confirmed what was sent, if `token` opened it last.

    It is closed with `content`, a hash in hex; with None, after a delete, it is removed.
    """

    place: DocumentPlace
    token: str
    content: str | None


def open_(connection: Connection, places: Collection[DocumentPlace], token: str) -> None:
    """Open these places, all of one projection, in one message, which ends the transaction.

    Places that are not there are made.
    """
    send(connection, PLAN, (OPEN, {**_columns([*places]), "token": token}), commit=True)


def settling(writes: Sequence[PlaceWrite]) -> list[Statement]:
    """The statements that close and remove places, all of one projection, after PLAN."""
    values = _columns([each.place for each in writes])
    values |= {
        "tokens": json.dumps([each.token for each in writes]),
        "contents": json.dumps([each.content for each in writes]),
    }
    removes = any(each.content is None for each in writes)
    return [*[(REMOVE, values)] * removes, (CLOSE, values)]


def note(connection: Connection, places: Collection[DocumentPlace]) -> None:
    """Write down places, all of one projection, at which documents were found; what is known stays."""
    if places:
        connection.execute(NOTE, _columns([*places]))


def forget(connection: Connection, projection: str, keys: Sequence[str]) -> None:
    """Have the documents of these keys sent, whatever they hold."""
    connection.execute(FORGET, {"projection": projection, "keys": _json(keys)})


def known(connection: Connection, projection: str, alias: str) -> bool:
    """Whether a document may be in this index."""
    return bool(connection.execute(KNOWN, {"projection": projection, "alias": alias}).scalar())


def drop(connection: Connection, projection: str) -> None:
    """Remove the places of a projection that is not in force."""
    connection.execute(DROP, {"projection": projection})


def _columns(places: Sequence[DocumentPlace]) -> dict[str, Any]:
    """The parameters of GIVEN, as texts: the driver takes 2 us for each element of an array."""
    (projection, *_), keys, indexes, ids = zip(*places, strict=True)
    return {"projection": projection, "keys": _json(keys), "indexes": _json(indexes), "ids": _json(ids)}


def _json(texts: Sequence[str]) -> str:
    return json.dumps(texts, ensure_ascii=False)
