"""SQL of the four roles: the rights of a worker, an operator, a viewer and a producer, and no others."""

from dataclasses import dataclass
from enum import StrEnum

from psycopg.sql import SQL, Composed, Identifier, Literal

from outboxctl.core.schema.names import (
    ALL_TABLES,
    AUDIT,
    DELETES,
    EVENTS,
    MARKER,
    PLACES,
    PROJECTIONS,
    REBUILDS,
    SOURCE,
    VERSION,
    VERSION_BASE,
    WORKERS,
    tag,
)
from outboxctl.domain.errors import UsageError

MAX_NAME = 63  # bytes; PostgreSQL silently truncates a longer name
TOOL_TABLES = tuple(table for table in ALL_TABLES if table != SOURCE)  # which is the application's


class Role(StrEnum):
    """The daemon, a person who changes events, a person or dashboard that reads, the application."""

    WORKER = "worker"
    OPERATOR = "operator"
    VIEWER = "viewer"
    PRODUCER = "producer"


@dataclass(frozen=True)
class Right:
    """What a role may do to a table; `columns`: only to these."""

    role: Role
    table: str
    verbs: str
    columns: tuple[str, ...] = ()


# What a delivery writes: never the event's entity, op or version.
DELIVERY = (
    *("status", "owner", "lease_token", "lease_until", "processing_started_at", "attempts"),
    *("next_retry_at", "processed_at", "error_reason", "error", "updated_at"),
)
# What a heartbeat updates. The row belongs to the login that made it, by a trigger.
HEARTBEAT = ("heartbeat_at", "in_flight", "circuit_open", "rate_in", "rate_out", "progress_at", "outages")
# What the worker writes of projections: the events of the documents behind a changed row, or of each row of
# several, and how far it is.
# The documents themselves are the application's: GRANT SELECT on their view.
KEY_EVENT = ("id", "entity_type", "entity_id", "op", "entity_key", "follow", "next_retry_at")
REPLAY = ("replay_count", "last_replayed_at", "last_replayed_by", "last_replayed_reason")
# What an INSERT of an event may set. A trigger restricts the second line to the values of a new event.
NEW_EVENT = (
    *("entity_type", "entity_id", "entity_key", "op", "event_version", "traceparent"),
    *("status", "attempts", "replay_count", "created_at", "updated_at"),
)
# Without `logged_in_as`, whose default is the login. A trigger sets `at`, too.
AUDIT_ROW = (
    *("at", "action", "operator", "reason", "filters", "affected", "event_ids", "act_id"),
    *("before_reasons", "before_errors", "before_attempts", "before_times"),
)
RIGHTS = (
    *(
        Right(Role.WORKER, table, "SELECT")
        # Of rebuilds: whether one has blocked writes of an index, whose events wait then.
        for table in (EVENTS, SOURCE, MARKER, PROJECTIONS, VERSION_BASE, VERSION, REBUILDS)
    ),
    Right(Role.WORKER, EVENTS, "UPDATE", (*DELIVERY, "follow_cursor")),
    Right(Role.WORKER, EVENTS, "INSERT", KEY_EVENT),
    Right(Role.WORKER, VERSION_BASE, "UPDATE", ("base", "system_identifier", "timeline", "raised_at")),
    *(Right(Role.WORKER, table, "SELECT, INSERT, UPDATE, DELETE") for table in (DELETES, PLACES)),
    Right(Role.WORKER, WORKERS, "SELECT, INSERT, DELETE"),
    Right(Role.WORKER, WORKERS, "UPDATE", HEARTBEAT),
    *(Right(Role.OPERATOR, table, "SELECT") for table in ALL_TABLES),
    Right(Role.OPERATOR, EVENTS, "DELETE"),
    # Not the id: an event that was deleted cannot be inserted again with other contents.
    Right(Role.OPERATOR, EVENTS, "INSERT", NEW_EVENT),
    Right(Role.OPERATOR, EVENTS, "UPDATE", DELIVERY + REPLAY),
    Right(Role.OPERATOR, SOURCE, "UPDATE", ("event_version",)),
    Right(Role.OPERATOR, AUDIT, "INSERT", AUDIT_ROW),
    *(Right(Role.OPERATOR, table, "INSERT, UPDATE") for table in (REBUILDS, PLACES)),
    *(Right(Role.VIEWER, table, "SELECT") for table in ALL_TABLES),
    # An event that is sent twice is recognised by its id, which must be readable for that.
    Right(Role.PRODUCER, EVENTS, "INSERT", ("id", *NEW_EVENT)),
    Right(Role.PRODUCER, EVENTS, "SELECT", ("id",)),
    # `touch` writes a key in the form of its column's type.
    Right(Role.PRODUCER, PROJECTIONS, "SELECT", ("name", "definition")),
)

# REVOKE before GRANT: a right that a newer version no longer needs is removed.
SCRIPT = """\
-- Four groups without a login; give them to people and programs: GRANT {operator} TO alice;
-- After `outboxctl db upgrade`, which makes the tables: first by a superuser, or by the owner of the tables
-- where he may create roles; again, after each upgrade, by the owner alone. PostgreSQL warns then where the
-- database or the schema is another role's: what was granted on these stays.
BEGIN;
{create}
REVOKE ALL ON {ours} FROM PUBLIC;
REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;
REVOKE ALL ON {tables} FROM {roles};
GRANT USAGE ON SCHEMA {schema} TO {roles};
{grants}
COMMIT;"""
CREATE = """\
DO {body};"""
BODY = """
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {name});
END
"""


def roles_sql(prefix: str, schema: str) -> str:
    """The SQL that creates the roles named `prefix` + worker, operator, … (see Role), or resets their rights.

    Raises UsageError for names that PostgreSQL would truncate, or reserves.
    """
    names = {role: _name(prefix + role) for role in Role}
    roles = SQL(", ").join(map(Identifier, names.values()))
    script = SQL(SCRIPT).format(
        operator=Identifier(names[Role.OPERATOR]),
        create=SQL("\n").join(_create(name) for name in names.values()),
        ours=_tables(schema, TOOL_TABLES),
        tables=_tables(schema, ALL_TABLES),
        roles=roles,
        schema=Identifier(_name(schema)),
        grants=SQL("\n").join(_grant(right, names[right.role], schema) for right in RIGHTS),
    )
    return script.as_string()


def _name(name: str) -> str:
    if len(name.encode()) > MAX_NAME or name.startswith("pg_"):
        hint = f"at most {MAX_NAME} bytes, not beginning with pg_"
        raise UsageError(f"not a name for PostgreSQL: {name[:80]!r}", hint=hint)
    return name


def _create(name: str) -> Composed:
    body = SQL(BODY).format(name=Literal(name), role=Identifier(name)).as_string()
    quote = tag("roles", body)  # a name can contain any text
    return SQL(CREATE).format(body=SQL(f"{quote}{body}{quote}"))


def _tables(schema: str, tables: tuple[str, ...]) -> Composed:
    return SQL(", ").join(Identifier(schema, table) for table in tables)


def _grant(right: Right, name: str, schema: str) -> Composed:
    columns = SQL(" ({})").format(SQL(", ").join(map(Identifier, right.columns)))
    return SQL("GRANT {verbs}{columns} ON {table} TO {role};").format(
        verbs=SQL(right.verbs),
        columns=columns if right.columns else SQL(""),
        table=Identifier(schema, right.table),
        role=Identifier(name),
    )
