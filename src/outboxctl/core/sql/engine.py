"""SQLAlchemy's engine on sessions of our own, and its dialect."""

import logging
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, TextClause, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from outboxctl.core.search_path import places
from outboxctl.core.sql.transaction import open_now

LONGEST = 30.0  # seconds of waiting for a connection that others use
# What they log is raised, too: without a handler a command that is interrupted would print it.
for library in ("sqlalchemy", "psycopg"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class Dialect(PGDialect_psycopg):
    """The dialect of psycopg, which asks nothing of a new session: its search path is still the login's."""

    supports_statement_cache = True

    def initialize(self, connection: Connection) -> None:
        """Take what the server has said when the session was opened."""
        version = connection.connection.driver_connection.info.server_version  # type: ignore[union-attr]
        self.server_version_info = divmod(version, 10_000)

    def on_connect(self) -> None:
        """Log no notice of the server."""


registry.register("postgresql.outboxctl", __name__, "Dialect")


def engine(connect: Callable[[], psycopg.Connection[Any]], size: int) -> Engine:
    """An engine with at most `size` sessions, made by `connect`; none is opened before it is needed."""
    made = create_engine(
        "postgresql+outboxctl://",
        creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=LONGEST,
        use_native_hstore=False,
        hide_parameters=True,  # documents and ids
    )
    event.listen(made, "before_cursor_execute", _opened, retval=True)
    return made


def _opened(
    connection: Connection, _cursor: Any, statement: str, values: Any, context: Any, *_: Any
) -> tuple[str, Any]:
    """Send what the transaction begins with; in a `text` our tables are named with their schemas.

    What has the driver's form (`exec_driver_sql`) may be the user's, and is left as it is.
    """
    open_now(connection)
    return places(connection).render(statement) if context.compiled else statement, values


def driver_form(statement: TextClause) -> str:
    """A statement as the driver has it: parameters are `%(name)s`, each other percent sign is doubled."""
    return str(statement.compile(dialect=DIALECT))


DIALECT = Dialect()  # type: ignore[no-untyped-call]
