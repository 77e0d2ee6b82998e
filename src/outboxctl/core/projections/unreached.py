"""Rows of a view whose key no row of the root has: no page of the root, and no event of it, leads to them."""

from collections.abc import Iterator

from psycopg.sql import SQL, Composed

from outboxctl.core.projections.documents import identifier, prepare, qualified
from outboxctl.core.projections.pages import SECONDS, keyed, row_key
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Projection, Relation

STATEMENT = """
SELECT {key} FROM {view} r WHERE {keyed} AND NOT EXISTS (SELECT FROM {root} t WHERE {same})
"""
# All of both are read: the plan that `prepare` asks for finds rows by their keys, and takes far longer.
AS_A_WHOLE = "SET LOCAL enable_seqscan = on"


def keys(connection: Connection, projection: Projection, *, size: int) -> Iterator[str]:
    """Their keys, of one snapshot, `size` fetched at once. Raises ReadRefusedError."""
    prepare(connection, SECONDS)
    connection.exec_driver_sql(AS_A_WHOLE)
    composed = statement(projection, projection.document)
    with reading_rows(connection):
        yield from connection.exec_driver_sql(composed.as_string(), at_once=size).scalars()


def statement(projection: Projection, view: Relation) -> Composed:
    """The statement that finds them in a view, which may not be in force yet."""
    names = [identifier(column.name) for column in projection.key]
    return SQL(STATEMENT).format(
        key=row_key(projection),
        view=qualified(view),
        keyed=keyed(projection),
        root=qualified(projection.root),
        same=SQL(" AND ").join(SQL("t.{0} = r.{0}").format(name) for name in names),
    )
