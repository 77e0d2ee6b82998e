"""The views of projections put aside for a migration of the application, and made again: migration 0017."""

from collections.abc import Sequence

from outboxctl.core.schema.names import PROJECTIONS
from outboxctl.core.search_path import places, quoted
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.domain.projection import Relation

SUSPEND = "SELECT * FROM {schema}.outbox_projections_suspend(VARIADIC CAST(:tables AS regclass[]))"
RESUME = "SELECT * FROM {schema}.outbox_projections_resume()"


def suspend(connection: Connection, tables: Sequence[Relation]) -> list[str]:
    """Drop the views by which projections in force read these tables, until `resume`: their names.

    Raises PostgreSQL's error where this role does not own a table, or a view cannot be made again.
    """
    names = [f"{quoted(each.schema)}.{quoted(each.name)}" for each in tables]
    return [*connection.execute(_call(connection, SUSPEND), {"tables": names}).scalars()]


def resume(connection: Connection) -> list[str]:
    """Make them again: what the migration means for the projections, a sentence each.

    Raises PostgreSQL's error, with the way to mend it as its hint, where a view does not fit any more.
    """
    return [*connection.execute(_call(connection, RESUME)).scalars()]


def _call(connection: Connection, statement: str) -> TextClause:
    schema = places(connection).schema(PROJECTIONS) or "public"
    return text(statement.format(schema=quoted(schema).replace(":", "\\:")))
