"""The user's own SQL, tried where nothing is kept of it: a view made for a look, a query that is planned.

One statement at a time, by PostgreSQL's extended protocol: a text with a second one is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import driver
from outboxctl.core.database_errors import CONNECTION_ERRORS
from outboxctl.core.projections.catalog import schema_hint, table_hint, view_name
from outboxctl.core.projections.changes import owners
from outboxctl.core.projections.documents import ONLY_READS
from outboxctl.core.projections.fields import TYPE_NAME
from outboxctl.core.projections.view_texts import PINNED
from outboxctl.core.refused_reads import POLICY
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation

TYPE = text(f"""
SELECT {TYPE_NAME.format(n="n", t="t")} FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = :oid
""")
# In PostgreSQL's words: `relation "loans" does not exist`, `function shelf(integer) does not exist`.
NAME = re.compile(r'"([^"]+)"|([^\s(]+)\(')
TYPES = text("""
SELECT DISTINCT format('%I.%I', n.nspname, t.typname) FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typname = :name ORDER BY 1 LIMIT 3
""")
TEMPORARY_SCHEMA = text("SELECT nspname::text FROM pg_namespace WHERE oid = pg_my_temp_schema()")


def temporary_view(connection: Connection, name: str, query: str) -> Relation:
    """A temporary view of a SELECT, for this transaction. UsageError where PostgreSQL refuses it."""
    composed = SQL("CREATE OR REPLACE TEMPORARY VIEW {} AS\n{}").format(
        Identifier(view_name(name)), SQL(query)
    )
    _one_statement(connection, composed.as_string())
    made = Relation(str(connection.execute(TEMPORARY_SCHEMA).scalar_one()), view_name(name))
    if found := owners(connection, made):
        view = Identifier(made.schema, made.name).as_string()
        with suppress(UsageError):  # as the view that `apply` makes, where this role may change the owner
            _one_statement(connection, f"ALTER VIEW {view} OWNER TO {found.outbox}")
    return made


def key_types(connection: Connection, query: str, types: Mapping[str, str]) -> list[str]:
    """The types of the columns of a `keys` query, as `Field.type`; `types` are those of its parameters.

    Raises UsageError with PostgreSQL's words where it refuses the query, or this role may not run it. Nothing
    is read.
    """
    typed = replaced(query, lambda name: f"CAST(NULL AS {types[name]})")
    # A subquery: one that changes data is refused there.
    statement = f"SELECT * FROM (\n{typed}\n) keys LIMIT 0"
    try:
        # The planner runs functions that are called immutable: read-only, and no policy's.
        with undone(connection):
            connection.exec_driver_sql(ONLY_READS)
            oids = [column.type_code for column in _one_statement(connection, statement).description]
    except UsageError as error:
        if not isinstance(why := error.__cause__, psycopg.Error) or why.diag.source_function != POLICY:
            raise
        with _refusals(connection):
            oids = _described(connection, statement)
    return [str(connection.execute(TYPE, {"oid": oid}).scalar()) for oid in oids]


def _described(connection: Connection, statement: str) -> list[int]:
    """The types that a statement returns, parsed and not planned: who reads may be past its policies."""
    session = driver(connection).pgconn
    for found in (session.prepare(b"", statement.encode()), session.describe_prepared(b"")):
        if found.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(found)
    return [found.ftype(place) for place in range(found.nfields)]


def value_types(connection: Connection, selects: Sequence[str]) -> dict[str, int]:
    """The oid of the type that each SELECT of one value returns; nothing is planned or run.

    Names are those of a session without a search path. A SELECT that PostgreSQL refuses is left out.
    """
    with suppress(psycopg.Error), undone(connection):
        connection.exec_driver_sql(PINNED)
        return dict(zip(selects, _described(connection, f"SELECT {', '.join(selects)}"), strict=True))
    half = len(selects) // 2  # one of them is refused, or they are more than the columns of a SELECT
    parts = (selects[:half], selects[half:]) if half else ()
    return {each: oid for some in parts for each, oid in value_types(connection, some).items()}


def _one_statement(connection: Connection, statement: str) -> Any:
    """Run one statement as it is. UsageError with PostgreSQL's words where the statement is refused."""
    with _refusals(connection):
        # `binary` makes the driver use the extended protocol, which takes one statement.
        return driver(connection).execute(statement, binary=True)


@contextmanager
def _refusals(connection: Connection) -> Iterator[None]:
    """A savepoint, so that the transaction goes on, and a UsageError where a statement in it is refused."""
    try:
        with connection.begin_nested():
            yield
    except CONNECTION_ERRORS:
        raise
    except psycopg.Error as error:
        said = brief(str(error).strip().partition("\n")[0], 300)
        raise UsageError(said, hint=_hint(connection, error)) from error


def type_hint(connection: Connection, name: str) -> str:
    """Types of this name with their schemas, else how one is named."""
    same = connection.execute(TYPES, {"name": name.rpartition(".")[2]}).scalars().all()
    return f"did you mean {brief(' or '.join(same), 300)}?" if same else schema_hint(name)


# By SQLSTATE: tables, functions, types.
UNKNOWN: dict[str, Callable[[Connection, str], str]] = {
    "42P01": table_hint,
    "42883": lambda _, name: schema_hint(name),
    "42704": type_hint,
}


def _hint(connection: Connection, error: psycopg.Error) -> str:
    """What an unknown name may have meant, else PostgreSQL's own hint."""
    unknown, found = UNKNOWN.get(error.sqlstate or ""), NAME.search(error.diag.message_primary or "")
    if unknown and found:
        return unknown(connection, found[1] or found[2])
    return brief(error.diag.message_hint or "", 300)
