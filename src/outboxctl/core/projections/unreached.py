"""Rows of a view whose key no row of the root has: no page of the root, and no event of it, leads to them."""

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from outboxctl.core.projections.documents import identifier, prepare, qualified
from outboxctl.core.projections.pages import SECONDS, keyed, row_key
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Projection

STATEMENT = """
SELECT {key} FROM {view} r WHERE {keyed} AND NOT EXISTS (SELECT FROM {root} t WHERE {same})
    AND NOT row_security_active(CAST({name} AS regclass))
"""
# Rows of the root that are hidden from this role are not missing: `doctor` finds that.
# All of both are read: the plan that `prepare` asks for finds rows by their keys, and takes far longer.
AS_A_WHOLE = "SET LOCAL enable_seqscan = on"


def keys(connection: Connection, projection: Projection, *, size: int) -> Iterator[str]:
    """Their keys, of one snapshot, `size` fetched at once. Raises ReadRefusedError."""
    prepare(connection, SECONDS)
    connection.exec_driver_sql(AS_A_WHOLE)
    composed = _statement(projection)
    with reading_rows(connection):
        options = {"yield_per": size}
        yield from connection.exec_driver_sql(composed.as_string(), execution_options=options).scalars()


def _statement(projection: Projection) -> Composed:
    root = Identifier(projection.root.schema, projection.root.name)
    names = [identifier(column.name) for column in projection.key]
    return SQL(STATEMENT).format(
        key=row_key(projection),
        view=qualified(projection.document),
        keyed=keyed(projection),
        root=qualified(projection.root),
        name=SQL(Literal(root.as_string()).as_string().replace("%", "%%")),
        same=SQL(" AND ").join(SQL("t.{0} = r.{0}").format(name) for name in names),
    )
