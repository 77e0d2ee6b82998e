"""What tells a server and its history from others: its system identifier and its timeline.

Some servers hide one or both, from a role without the right to ask or from everybody (Amazon Aurora, unless
`wal_level` is logical). What is hidden is NULL and compares with nothing: that serial numbers have fallen is
then seen by the first version conflict (docs/adr/0040).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from outboxctl.core.database_errors import sqlstate
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.sql import Connection

IDENTIFIER = "(SELECT system_identifier::text FROM pg_control_system())"
# Fails on a standby, whose snapshots have other numbers: "recovery is in progress".
TIMELINE = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
NO_IDENTIFIER = "CAST(NULL AS text)"
# No server has this timeline: on a standby no document is read with a version.
NO_TIMELINE = "CASE WHEN pg_is_in_recovery() THEN 'standby' END"
# Insufficient privilege, feature not supported, object not in prerequisite state, undefined function.
HIDDEN = ("42501", "0A000", "55000", "42883")
FUNCTIONS = ("pg_control_system", "pg_current_wal_lsn", "pg_walfile_name")
STANDBY = "SELECT pg_is_in_recovery()"
ASKED = "outboxctl.server"  # of a session, once it was asked


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
