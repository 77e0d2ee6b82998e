"""Whether the rows of a view show at once that it has more than one for a key, where its text does not.

In a bounded time: of a large view only the rows of some keys are looked at.
"""

from psycopg.sql import SQL

from outboxctl.core.projections.documents import identifier, prepare_documents, qualified
from outboxctl.core.projections.pages import AS_A_WHOLE, keyed, row_key
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.projection import Projection, Relation

SECONDS = 2.0  # for each statement
SOME = 1_000  # keys of a root of which not all can be looked at in that time
SEVERAL = "SELECT {key} FROM {view} r WHERE {keyed} {of} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
OF_SOME = "AND ({columns}) IN (SELECT {roots} FROM {root} t ORDER BY {roots} LIMIT {some})"


def several(connection: Connection, projection: Projection, view: Relation) -> str | None:
    """The key of which the view has more than one row; None where there is none, or none found in time."""
    for of in ("", OF_SOME):
        try:
            return _first(connection, view, _several(projection, view, of))
        except ReadRefusedError as error:
            if not error.late:
                break  # a row that cannot be read is for `verify` to list
    return None


def _first(connection: Connection, view: Relation, statement: str) -> str | None:
    with undone(connection):
        prepare_documents(connection, view, SECONDS)
        connection.exec_driver_sql(AS_A_WHOLE)
        with reading_rows(connection):
            key: str | None = connection.exec_driver_sql(statement).scalar()
            return key


def _several(projection: Projection, view: Relation, of: str) -> str:
    own, roots = (
        SQL(", ").join(SQL(f"{alias}.{{}}").format(identifier(column.name)) for column in key)
        for alias, key in (("r", projection.key), ("t", projection.root_key))
    )
    chosen = SQL(of).format(columns=own, roots=roots, root=qualified(projection.root), some=SQL(str(SOME)))
    composed = SQL(SEVERAL).format(
        key=row_key(projection.key), view=qualified(view), keyed=keyed(projection.key), of=chosen, columns=own
    )
    return composed.as_string()
