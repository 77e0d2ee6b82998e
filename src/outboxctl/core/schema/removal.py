"""What is ours in a database: all of it, to be removed, and what an outbox that is gone has left."""

from typing import NamedTuple

from psycopg.errors import DependentObjectsStillExist

from outboxctl.core.projections import changes, in_force
from outboxctl.core.projections.trigger_functions import WRITES_EVENTS, WRITES_FOR
from outboxctl.core.schema.names import OIDS, PROJECTIONS, TRIGGER_FUNCTIONS, VERSION
from outboxctl.core.schema.notify import NAME as NOTIFY
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import NotPermittedError, UsageError
from outboxctl.domain.printable import brief

ORPHANS = text(f"""
SELECT p.oid::regprocedure::text AS function, ARRAY(SELECT DISTINCT t.tgrelid::regclass::text
    FROM pg_trigger t WHERE t.tgfoid = p.oid AND t.tgparentid = 0 ORDER BY 1) AS tables
FROM pg_proc p
WHERE p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('{PROJECTIONS}'))
    AND starts_with(p.proname, 'outbox_') AND {WRITES_EVENTS} AND NOT CAST(:names AS text[]) && {WRITES_FOR}
ORDER BY 1
""")
TRIGGERED = ", ".join(f"'{name}'" for name in (*TRIGGER_FUNCTIONS, NOTIFY, "search_index_outbox"))
# Without CASCADE: what is not ours and depends on these stops it. A trigger goes with its table.
DROPS = text(f"""
WITH tables AS (SELECT oid, relnamespace FROM pg_class WHERE oid IN ({OIDS}, to_regclass('{VERSION}')))
SELECT 1 AS place, 'DROP TABLE ' || string_agg(oid::regclass::text, ', ') AS sql FROM tables
UNION ALL
SELECT 2, 'DROP FUNCTION ' || string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
WHERE p.pronamespace IN (SELECT relnamespace FROM tables)
    AND p.proname IN ({TRIGGERED}) AND p.prorettype = 'trigger'::regtype
ORDER BY place
""")


class Orphan(NamedTuple):
    """The function of triggers that no projection in force uses, and the tables that have them, as in SQL."""

    function: str
    tables: list[str]


def orphans(connection: Connection) -> list[Orphan]:
    """All of them; none without the right to read which projections are in force."""
    if not in_force.readable(connection):
        return []
    return [Orphan(*row) for row in connection.execute(ORPHANS, {"names": in_force.names(connection)})]


def remove(connection: Connection) -> list[str]:
    """Drop all that migrations have made, with its rows, and triggers that are left; returns the SQL.

    Raises UsageError while a projection is in force, or where what is not ours depends on it, and
    NotPermittedError where this role may not read which projections are.
    """
    if not in_force.readable(connection):
        raise NotPermittedError(f"not permitted to read {PROJECTIONS}")
    if names := in_force.names(connection):
        named = brief(", ".join(names), 500)
        raise UsageError(f"projections are in force: {named}", hint="outboxctl projection drop NAME …")
    done = [f"DROP FUNCTION {each.function} CASCADE" for each in orphans(connection)]
    done += [sql for _, sql in connection.execute(DROPS) if sql]
    try:
        changes.run(connection, done)
    except DependentObjectsStillExist as error:
        raise UsageError(brief(str(error.diag.message_detail), 500), hint="drop that first") from error
    return done
