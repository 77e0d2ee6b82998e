"""The versions of projected documents: a base, and the serial number of the snapshot that read them.

A document of several tables has no version of its own. The serial number of a snapshot, its `xmax` less the
number of transactions in progress, grows with the end of every transaction that wrote, and two snapshots have
the same only if they see the same (docs/adr/0040). After a restore, or the promotion of a standby that
lagged, serial numbers are smaller than before: the base is raised then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from outboxctl.core.database_errors import sqlstate
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.schema.names import VERSION_BASE
from outboxctl.core.sql import Connection, text

STEP = 2**32  # above the transactions of any database that is not near its end; 2**30 steps fit
AT_ONCE = 2**61  # the base that a worker may raise it to; above by one step a time (migration 0001)
HIGHEST = 2**62  # no version of ours is above: one that an index holds was written by somebody else
# Of the statement's own snapshot. A transaction that has written counts itself: it must not have written.
SERIAL = """(SELECT pg_snapshot_xmax(s)::text::bigint - (SELECT count(*) FROM pg_snapshot_xip(s))
    FROM pg_current_snapshot() s)"""
# What the server `n` hides is as the base `b` has it; an empty text there was hidden from whoever wrote it.
SAME = """(b.system_identifier, b.timeline)
    = (coalesce(n.system_identifier, b.system_identifier), coalesce(n.timeline, b.timeline))"""
OTHER = "(nullif(b.system_identifier, '') <> n.system_identifier OR nullif(b.timeline, '') <> n.timeline)"
# NULL where the base is that of another server or timeline: nothing may be sent with it.
VERSION = f"""SELECT CASE WHEN {SAME}
        THEN b.base + {SERIAL} END AS version
    FROM {VERSION_BASE} b, (SELECT {{server}}) n"""
RAISE = f"""
UPDATE {VERSION_BASE} b SET
    base = least(greatest({AT_ONCE}, b.base + {STEP}), b.base + {STEP} * CASE
        WHEN b.base + {SERIAL} < CAST(:above AS bigint) THEN (:above - b.base - {SERIAL}) / {STEP} + 1
        WHEN {OTHER} THEN 1 ELSE 0 END),
    system_identifier = coalesce(n.system_identifier, b.system_identifier, ''),
    timeline = coalesce(n.timeline, b.timeline, ''), raised_at = now()
FROM (SELECT {{server}}) n, (SELECT base AS before FROM {VERSION_BASE}) o
WHERE ({SAME}) IS NOT TRUE OR b.base + {SERIAL} < CAST(:above AS bigint)
RETURNING CASE WHEN b.base > o.before THEN b.base ELSE 0 END
"""


def version_sql(server: str) -> str:
    """The query of the version of its own snapshot, by the columns of `server_identity.server`."""
    return VERSION.format(server=server)


def current(connection: Connection) -> int | None:
    """The version of what a statement reads now; None while the base is that of another server."""
    version = connection.execute(text(version_sql(server(connection)))).scalar()
    return None if version is None else int(version)


def raise_base(connection: Connection, *, above: int = -1) -> int:
    """Raise the base where it is that of another server or timeline, or where versions are below `above`.

    Of several workers one raises it. Returns the new base, 0 where it was not raised: the first server that
    is seen is written down, and raises nothing.
    """
    base = connection.execute(text(RAISE.format(server=server(connection))), {"above": above}).scalar()
    return int(base or 0)


IDENTIFIER = "(SELECT system_identifier::text FROM pg_control_system())"
# Fails on a standby, whose snapshots have other numbers: "recovery is in progress".
TIMELINE = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
NO_IDENTIFIER = "CAST(NULL AS text)"
# No server has this timeline: on a standby no document is read with a version.
NO_TIMELINE = "CASE WHEN pg_is_in_recovery() THEN 'standby' END"
# Insufficient privilege, feature not supported, object not in prerequisite state, undefined function.
HIDDEN = ("42501", "0A000", "55000", "42883")
STANDBY = "SELECT pg_is_in_recovery()"
ASKED = "outboxctl.server"  # of a session, once it was asked
FUNCTIONS = ("pg_control_system", "pg_current_wal_lsn", "pg_walfile_name")


def server(connection: Connection) -> str:
    """SQL for two columns, `system_identifier` and `timeline`, NULL where the server hides them.

    A session is asked once, by statements that write nothing.
    """
    info = connection.info
    if ASKED not in info:
        if connection.exec_driver_sql(STANDBY).scalar_one():
            return _columns(IDENTIFIER, TIMELINE)  # it may be promoted: ask again
        info[ASKED] = _columns(
            IDENTIFIER if _readable(connection, IDENTIFIER) else NO_IDENTIFIER,
            TIMELINE if _readable(connection, TIMELINE) else NO_TIMELINE,
        )
    return str(info[ASKED])


@contextmanager
def asking_again(connection: Connection) -> Iterator[None]:
    """Around a statement with these columns: the right to read them may have been taken away meanwhile."""
    try:
        yield
    except ReadRefusedError as error:
        if error.state in HIDDEN:
            connection.info.pop(ASKED, None)
            error.of_any_row = any(name in error.words for name in FUNCTIONS)
        raise


def _columns(identifier: str, timeline: str) -> str:
    return f"{identifier} AS system_identifier, {timeline} AS timeline"


def _readable(connection: Connection, value: str) -> bool:
    """Whether this session may read the value; the transaction goes on if it may not."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SELECT {value}")
    except DBAPIError as error:
        if sqlstate(error) in HIDDEN:
            return False
        raise
    return True
