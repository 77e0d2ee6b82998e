"""The view that is made of a `query`: its SQL, for `apply` to run and for `sql` to print."""

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.projections.catalog import view_name
from outboxctl.core.projections.trigger_functions import tag
from outboxctl.core.schema.names import PROJECTIONS
from outboxctl.core.sql import Connection, text

SHAPE = text("""
SELECT array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND c.relname = CAST(:name AS text) AND n.nspname = CAST(:schema AS text)
    AND a.attnum > 0 AND NOT a.attisdropped
""")
CREATE = "CREATE OR REPLACE VIEW {view} AS\n{query}\n;\n"
GRANT = """
DECLARE
    reader text;
BEGIN
    FOR reader IN SELECT DISTINCT quote_ident(r.rolname) FROM pg_class c, aclexplode(c.relacl) a
            JOIN pg_roles r ON r.oid = a.grantee
            WHERE c.oid = to_regclass({projections}) AND a.privilege_type = 'SELECT'
                AND r.oid <> c.relowner LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', {name}, reader);
    END LOOP;
END
"""


def create_sql(schema: str, projection: str, query: str, *, anew: bool) -> str:
    """SQL that makes the view or replaces it; `anew` drops it first, where its columns are others.

    Who may read the declarations (those of `outboxctl roles`) may read it: it reads with its owner's rights.
    """
    name = Identifier(schema, view_name(projection))
    create = SQL(CREATE).format(view=name, query=SQL(query)).as_string()
    table = Literal(Identifier(schema, PROJECTIONS).as_string())
    grant = SQL(GRANT).format(name=Literal(name.as_string()), projections=table).as_string()
    quote = tag("grant", grant)
    return f"{drop_sql(schema, projection) if anew else ''}{create}DO {quote}{grant}{quote};\n"


def drop_sql(schema: str, projection: str) -> str:
    """SQL that drops it; refused by PostgreSQL where something else reads it."""
    return SQL("DROP VIEW IF EXISTS {};\n").format(Identifier(schema, view_name(projection))).as_string()


def shape(connection: Connection, schema: str, name: str) -> list[str]:
    """Names and types of a view's columns in their order; none where it is not there."""
    return list(connection.execute(SHAPE, {"schema": schema, "name": name}).scalar() or ())
