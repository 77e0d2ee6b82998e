"""NOTIFY: a trigger on the outbox reports new events; only a hint, since workers poll all the same.

Channels belong to a database, not to a schema: the name holds the table's oid, so that an outbox in
another schema notifies nobody here. The trigger reads the oid when it fires: a restored dump has another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

NAME = "outbox_notify"  # of the trigger and its function
# A long transaction must not make every writer wait behind us.
PATIENCE = "SET LOCAL lock_timeout = '5s'"
# One a statement; PostgreSQL folds equal ones of a transaction into one. It fires for the partitioned table,
# not for an insert into a partition by its own name.
SWITCH_ON = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $outbox$
BEGIN
    PERFORM pg_catalog.pg_notify(pg_catalog.concat('outbox_', TG_RELID), '');
    RETURN NULL;
END
$outbox$;
DROP TRIGGER IF EXISTS {trigger} ON {table};
CREATE TRIGGER {trigger} AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""
# CASCADE: a table that was the outbox once and is a partition now still has the trigger.
SWITCH_OFF = "DROP TRIGGER IF EXISTS {trigger} ON {table}; DROP FUNCTION IF EXISTS {function}() CASCADE"
# A session that listens has executed nothing since: LISTEN is its last statement. Statements of other roles'
# sessions are visible to few roles.
STATUS = text(f"""
SELECT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = c.oid AND t.tgname = '{NAME}' AND t.tgenabled IN ('O', 'A')) AS on,
    channel,
    (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.query = concat('LISTEN "', channel, '"')) AS listening,
    n.nspname AS schema,
    (SELECT rolname FROM pg_roles r WHERE r.oid = p.proowner AND NOT r.rolsuper AND r.oid <> c.relowner
        AND r.rolname <> current_user) AS stranger
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_proc p ON p.proname = '{NAME}' AND p.pronamespace = n.oid AND p.pronargs = 0,
    concat('outbox_', c.oid) AS channel
WHERE c.oid = to_regclass('{EVENTS}')
""")
SEND = text("SELECT pg_notify(:channel, :payload)")


@dataclass(frozen=True)
class NotifyState:
    """Whether inserts notify, on which channel, and how many visible sessions listen there.

    `schema` is that of the outbox. `stranger` owns the trigger's function, and is neither ours, nor the
    table's owner, nor a superuser.
    """

    on: bool
    channel: str
    listening: int
    schema: str
    stranger: str | None


def status(connection: Connection) -> NotifyState:
    """The current state."""
    return NotifyState(*connection.execute(STATUS).one())


def switch(connection: Connection, *, on: bool) -> NotifyState:
    """Switch notifications, without a lock where nothing changes. Returns the new state.

    Needs the table's owner. Waits up to 5 s for a lock that blocks writers for a moment. Raises UsageError
    where the function belongs to a stranger.
    """
    now = status(connection)
    if on:
        _refuse_foreign_owner(now)
    if now.on is on:
        return now
    connection.exec_driver_sql(PATIENCE)
    connection.exec_driver_sql(_sql(SWITCH_ON if on else SWITCH_OFF, now.schema))
    after = status(connection)
    if on:
        _refuse_foreign_owner(after)  # one that was made meanwhile has kept its owner
    return after


def send(connection: Connection, channel: str, payload: str) -> None:
    """Notify by hand, at the commit of this transaction."""
    connection.execute(SEND, {"channel": channel, "payload": payload})


@dataclass(frozen=True)
class ChannelListener:
    """A session that listens; the trigger's payload is empty."""

    session: psycopg.Connection
    channel: str

    def receive(self, seconds: float) -> list[str]:
        """Payloads received, after the first one or `seconds`. UnreachableError if it is cut off."""
        return [each.payload for each in self.session.notifies(timeout=seconds, stop_after=1)]


@contextmanager
def listening(database: Database, channel: str) -> Iterator[ChannelListener]:
    """Listen by a connection of its own. Raises UnreachableError, in the block too."""
    with database.apart() as session:
        with database.bounded(session):
            session.execute(f'LISTEN "{channel}"'.encode())
        try:
            yield ChannelListener(session, channel)
        finally:
            # Behind a pooler in transaction mode the session stays open, and would be notified for ever.
            if not session.broken:
                with database.bounded(session):
                    session.execute(f'UNLISTEN "{channel}"'.encode())


def _refuse_foreign_owner(state: NotifyState) -> None:
    """The owner of a function may replace its body, and each insert of an event runs it."""
    if state.stranger:
        function = brief(Identifier(state.schema, NAME).as_string(), 140)
        raise UsageError(
            f"the function {function} belongs to the role {brief(state.stranger, 70)}",
            hint=f"if you trust that role: ALTER FUNCTION {function}() OWNER TO …; otherwise drop it",
        )


def _sql(statement: str, schema: str) -> str:
    composed = SQL(statement).format(
        function=Identifier(schema, NAME), trigger=Identifier(NAME), table=Identifier(schema, EVENTS)
    )
    return composed.as_string().replace("%", "%%")  # the driver takes a single percent sign as a placeholder
