"""`touch`: an event of a projection's document, written in the caller's own transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from json import loads
from typing import Any
from uuid import UUID

from outboxctl.core.produce import COLUMNS, executor, traceparent_of, version_of
from outboxctl.core.schema.names import EVENTS, PROJECTIONS
from outboxctl.domain.errors import UsageError
from outboxctl.domain.ids import uuid7
from outboxctl.domain.key_forms import form, number
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import NAME, key_text

# By full names: the search path is the application's. A statement that reads the declarations fails where
# the login may not, and with it the application's transaction.
MAY_READ = f"""SELECT pg_catalog.has_column_privilege(t, 'name', 'SELECT')
    AND pg_catalog.has_column_privilege(t, 'definition', 'SELECT')
FROM pg_catalog.to_regclass('{PROJECTIONS}') t"""
# Of each column name, type and, where that is an enum, its labels; NULL where no such projection is in force.
# As text: the application's connection may load JSON in its own way.
KEY_COLUMNS = f"""SELECT CAST(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.name, c.type, ARRAY(
        SELECT CAST(e.enumlabel AS pg_catalog.text) FROM pg_catalog.pg_enum e
        WHERE e.enumtypid OPERATOR(pg_catalog.=) pg_catalog.to_regtype(c.type))) ORDER BY k.place)
    AS pg_catalog.text)
FROM {PROJECTIONS} p, pg_catalog.jsonb_array_elements(pg_catalog.jsonb_extract_path(p.definition, 'key'))
        WITH ORDINALITY k (part, place),
    pg_catalog.jsonb_to_record(k.part) c (name pg_catalog.text, type pg_catalog.text)
WHERE CAST(p.name AS pg_catalog.text) OPERATOR(pg_catalog.=) CAST({{entity_type}} AS pg_catalog.text)"""
INSERT = f"""INSERT INTO {EVENTS} (id, {COLUMNS}, entity_key, traceparent)
SELECT CAST({{id}} AS pg_catalog.uuid), k.type, CAST(pg_catalog.md5(
        pg_catalog.concat(k.type, ':', k.key)) AS pg_catalog.uuid),
    'upsert', CAST({{event_version}} AS pg_catalog.int8), 'pending', 0, 0, pg_catalog.now(), pg_catalog.now(),
    k.key, CAST({{traceparent}} AS pg_catalog.text)
FROM (SELECT CAST({{entity_type}} AS pg_catalog.text), CAST({{key}} AS pg_catalog.text)) k (type, key)"""
Part = str | int | UUID | Decimal | date


class KeyFormError(UsageError, ValueError):
    """A key is none of the projection: a part is no value of its column's type, or their number differs."""


def touch(
    connection: Any,
    projection: str,
    key: Part | Sequence[Part],
    *,
    event_version: int | None = None,
    traceparent: str | None = None,
) -> UUID:
    """Write an event of a projection's document in the transaction of `connection`; commit is the caller's.

    For applications on whose tables no triggers may be made (`events = "application"`): call it in
    the transaction that changes what the document is made of, and also for one that is deleted. The worker
    reads the document after the commit. `connection` and `traceparent` are as for `enqueue`.

    `key` is the document's key; of several columns a sequence, in their order. Whatever its form, the event
    has the text that triggers write of the columns' types: a UUID in small letters, 007 as 7, 1.0 as 1. A
    login that may not read the declarations (`outbox_producer` may), and a projection that is not in force,
    get the text as it is given. `event_version`: of a document that is deleted, where the declaration names a
    column with versions; above that of the row.

    Returns the event's id. Raises ValueError for a bad argument, which a UsageError is where the key is none
    of the projection: nothing was written then, and the transaction goes on. Raises TypeError for no
    connection or key.
    """
    if not NAME.fullmatch(projection) or projection == PROJECTION:
        raise ValueError(f"not the name of a projection: {projection[:60]!r}")
    parts = [_part(part) for part in ([key] if isinstance(key, Part) else key)]
    if not parts:
        raise ValueError("the key has no parts")
    values: dict[str, Any] = {"id": str(uuid7()), "entity_type": projection}
    values["traceparent"] = traceparent_of(traceparent)
    values["event_version"] = None if event_version is None else version_of(event_version)
    execute = executor(connection, values, touch)
    may_read = execute(MAY_READ).fetchone()[0]
    if may_read and (columns := execute(KEY_COLUMNS).fetchone()[0]):
        parts = _as_written(projection, parts, loads(columns))
    values["key"] = key_text(parts)
    execute(INSERT)
    return UUID(values["id"])


def _as_written(projection: str, parts: Sequence[str], columns: Sequence[Any]) -> list[str]:
    """The parts in the forms of the columns' types. KeyFormError where they are no key."""
    written = [form(part, type_, labels) for part, (_, type_, labels) in zip(parts, columns, strict=False)]
    found = [each for each in written if each is not None]
    if not len(found) == len(parts) == len(columns):
        given = brief(", ".join(map(repr, parts)), 200)
        wanted = brief(", ".join(f"{name} {type_}" for name, type_, _ in columns), 200)
        raise KeyFormError(f"{given}: no key of the projection {projection!r}, which is {wanted}")
    return found


def _part(value: Part) -> str:
    if isinstance(value, bool) or not isinstance(value, Part):
        raise TypeError(f"not a part of a key: {value!r:.60}")
    if isinstance(value, datetime):
        raise TypeError("a time is no part of a key: a date is")
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("a key has no NUL")
    return str(value)
