"""The view that is made of a `query`: its SQL, for `apply` to run and for `sql` to print."""

from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, text

from outboxctl.core.projections.names import view_name

SHAPE = text("""
SELECT array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND c.relname = CAST(:name AS text) AND n.nspname = CAST(:schema AS text)
    AND a.attnum > 0 AND NOT a.attisdropped
""")


def create_sql(schema: str, projection: str, query: str, *, anew: bool) -> str:
    """SQL that makes the view or replaces it; `anew` drops it first, where its columns are others."""
    name = Identifier(schema, view_name(projection))
    create = SQL("CREATE OR REPLACE VIEW {} AS\n{}\n;\n").format(name, SQL(query)).as_string()
    return (drop_sql(schema, projection) if anew else "") + create


def drop_sql(schema: str, projection: str) -> str:
    """SQL that drops it; refused by PostgreSQL where something else reads it."""
    return SQL("DROP VIEW IF EXISTS {};\n").format(Identifier(schema, view_name(projection))).as_string()


def shape(connection: Connection, schema: str, name: str) -> list[str]:
    """Names and types of a view's columns in their order; none where it is not there."""
    return list(connection.execute(SHAPE, {"schema": schema, "name": name}).scalar() or ())
