"""Producing: an event written in the caller's own transaction."""

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.ids import uuid7
from outboxctl.domain.lifecycle import OPS

MAX_VERSION = 2**63 - 1
MAX_TYPE = 50
# Without the id: where nobody needs to know it first, the column's default makes it.
COLUMNS = "entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at"
INTO = f"INSERT INTO {EVENTS} (id, {COLUMNS}, traceparent)"
ROW = "{id}, {entity_type}, {entity_id}, {op}, {event_version}, 'pending', 0, 0, now(), now(), {traceparent}"
# Other unique constraints are the application's own, and none of them is to be passed over in silence.
ONCE = "ON CONFLICT (id) DO NOTHING"
# A partitioned table has no unique index on the id, and could hold one twice: so the id is looked up, by one
# transaction after the other. Only there: two SERIALIZABLE transactions would fail over such a read, and a
# plan made while the table was empty would read all of it for every event. Any login may take such a lock.
# By full names and exact types: the search path is the application's.
LOCK = f"""SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({{id}}, 0))
FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) CAST('{EVENTS}' AS pg_catalog.regclass)
    AND relkind OPERATOR(pg_catalog.=) 'p'"""
IF_NEW = f"WHERE NOT EXISTS (SELECT FROM {EVENTS} WHERE id OPERATOR(pg_catalog.=) {{id}})"
NAMES = ("id", "entity_type", "entity_id", "op", "event_version", "traceparent", "key")
# W3C Trace Context, section 3.2.2, as far as 55 characters hold it: neither version ff nor an id of zeros.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def enqueue(
    connection: Any,
    *,
    entity_type: str,
    entity_id: UUID | str,
    op: str = "upsert",
    event_version: int,
    event_id: UUID | str | None = None,
    traceparent: str | None = None,
) -> UUID:
    """Write one outbox event in the transaction of `connection`; commit is the caller's.

    `connection` is a SQLAlchemy Connection or Session, or a psycopg Connection or Cursor. The event
    becomes visible to the worker when that transaction commits, and vanishes if it rolls back.

    With an `event_id` a repeated call is one event (the first wins; of two at once in a partitioned outbox
    too, except under REPEATABLE READ); without one, each call is an event of its own, and the worker sends
    the entity once. `event_version` is the version of the source row in the same transaction; a delete's must
    be above the last upsert's.

    `traceparent` (W3C Trace Context) is the trace that the worker's span will link to; by default that of
    OpenTelemetry's active span; `""` for none. An invalid one is left out, as the standard requires.

    Returns the event's id. Raises ValueError for a bad argument, TypeError for what is no connection, or an
    async one.
    """
    values = checked(entity_type=entity_type, entity_id=entity_id, op=op, event_version=event_version)
    values["id"] = str(UUID(str(event_id)) if event_id else uuid7())
    values["traceparent"] = traceparent_of(traceparent)
    execute = executor(connection, values, enqueue)
    if not event_id:
        execute(f"{INTO} VALUES ({ROW})")
    elif execute(LOCK).fetchone() is None:
        execute(f"{INTO} VALUES ({ROW}) {ONCE}")
    else:
        execute(f"{INTO} SELECT {ROW} {IF_NEW}")
    return UUID(values["id"])


def checked(*, entity_type: str, entity_id: UUID | str, op: str, event_version: int) -> dict[str, Any]:
    """The values of an event as its columns take them. Raises ValueError for a bad one."""
    if not entity_type or len(entity_type) > MAX_TYPE or "\x00" in entity_type:
        said = f"1 to {MAX_TYPE} characters, none of them NUL: {entity_type[:60]!r}"
        raise ValueError(f"entity_type must have {said}")
    if op not in OPS:
        raise ValueError(f"op must be 'upsert' or 'delete': {op[:60]!r}")
    values = {"entity_type": entity_type, "entity_id": str(UUID(str(entity_id))), "op": op}
    return values | {"event_version": version_of(event_version)}


def traceparent_of(traceparent: str | None) -> str | None:
    """The value to write; an application that has not imported OpenTelemetry has no span."""
    if traceparent is None and "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - the application's own

        carrier: dict[str, str] = {}
        tracecontext.TraceContextTextMapPropagator().inject(carrier)
        traceparent = carrier.get("traceparent")
    return traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else None


def executor(connection: Any, values: dict[str, Any], caller: Callable[..., Any]) -> Callable[[str], Any]:
    """A function that executes a statement with these values, and returns its cursor or result."""
    name = caller.__name__
    if not hasattr(connection, "execute"):
        raise TypeError(f"{name} needs a connection, session or cursor, not {type(connection).__name__}")
    if inspect.iscoroutinefunction(connection.execute):
        raise TypeError(f"{name} is synchronous: use `await connection.run_sync({name}, ...)`")
    if any(base.__module__.partition(".")[0] == "psycopg" for base in type(connection).__mro__):
        from psycopg.rows import tuple_row  # noqa: PLC0415 - as below

        # A cursor of our own: the caller's may have another row factory.
        cursor = getattr(connection, "connection", connection).cursor(row_factory=tuple_row)
        return lambda statement: cursor.execute(_marked(statement, "%({})s"), values)
    from sqlalchemy import text  # noqa: PLC0415 - a psycopg user does not need it loaded

    return lambda statement: connection.execute(text(_marked(statement, ":{}")), values)


def _marked(statement: str, mark: str) -> str:
    return statement.format(**{name: mark.format(name) for name in NAMES})


def version_of(value: int) -> int:
    """A version. Raises ValueError for what is none."""
    if type(value) is not int or not 0 <= value <= MAX_VERSION:
        raise ValueError(f"event_version must be an integer from 0 to 2**63-1: {value!r}")
    return value
