"""The SQL that puts a projection in force, and that takes it out: for `apply` to run and for `sql` to print.

The statements have all names in full and no parameters, so that they do the same in psql.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from psycopg.sql import SQL, Composed, Identifier, Literal

from outboxctl.core.database import driver
from outboxctl.core.projections.catalog import RELATION, of, view_name
from outboxctl.core.schema.lock_wait import LOCK
from outboxctl.core.schema.names import EVENTS, PROJECTIONS, REBUILDS, SOURCE, VERSION_BASE, tag
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation

# A partition gets its table's triggers.
MAY = text("""
SELECT NOT has_schema_privilege(quote_ident(CAST(:schema AS text)), 'CREATE'), ARRAY(
    SELECT CASE k.relid WHEN name::regclass THEN shown ELSE concat(k.relid::regclass, ', a partition') END
    FROM unnest(CAST(:tables AS text[]), CAST(:shown AS text[])) t (name, shown),
        LATERAL (SELECT name::regclass AS relid UNION SELECT relid FROM pg_partition_tree(name::regclass)) k
    WHERE NOT has_table_privilege(k.relid, 'TRIGGER') ORDER BY 1)
""")
# psql sends each statement in a transaction of its own unless told otherwise, so the path is the session's.
# In one transaction it waits for another change, and for the swap of a rebuild, as `apply` does.
BEGIN = """\
DO {lock};
SELECT pg_catalog.set_config('outboxctl.searched', pg_catalog.current_setting('search_path'), false),
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);
"""
END = "SELECT set_config('search_path', current_setting('outboxctl.searched'), false);\n"


def begin_sql(schema: str) -> str:
    """The beginning of a script for psql; END is its end."""
    lock = LOCK.replace(REBUILDS, Identifier(schema, REBUILDS).as_string())
    body = f"BEGIN {lock}; END"
    quote = tag("lock", body)
    return BEGIN.format(lock=f"{quote}{body}{quote}")


def check_rights(connection: Connection, schema: str, tables: Collection[Relation]) -> None:
    """Raise UsageError where this role may make no triggers on `tables`, or nothing in that schema."""
    names = [Identifier(each.schema, each.name).as_string() for each in tables]
    values = {"schema": schema, "tables": names, "shown": [str(each) for each in tables]}
    no_objects, refused = connection.execute(MAY, values).one()
    if refused:
        raise UsageError(
            f"this role may make no triggers on {brief(', '.join(refused), 300)}",
            hint='GRANT TRIGGER ON …; or events = "application" (apply --no-triggers), with outboxctl.touch',
        )
    if no_objects:
        raise UsageError(
            f"this role may create nothing in the schema {brief(schema, 70)}",
            hint="use the owner of the outbox's tables",
        )


def outbox_schema(connection: Connection) -> str:
    """The schema of the outbox's tables."""
    return places(connection).schema(EVENTS) or "public"


def run(connection: Connection, scripts: Sequence[str]) -> None:
    """Run SQL as it is, as psql does; PostgreSQL's errors are raised through Database.begin."""
    for script in scripts:
        driver(connection).execute(script)


SHAPE = text("""
SELECT array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND c.relname = CAST(:name AS text) AND n.nspname = CAST(:schema AS text)
    AND a.attnum > 0 AND NOT a.attisdropped
""")
CREATE = "CREATE OR REPLACE VIEW {view} AS\n{query}\n;\n"
# Documents are for who reads those of search_index, too, as the groups of `outboxctl roles` do, not for each
# role that may read the declarations. A row for each that lacks the view, or has it and should not.
READERS = (PROJECTIONS, SOURCE, VERSION_BASE)
DIFFERING = f"""
SELECT coalesce(due.role, has.role) AS role, has.role IS NULL AS lacks
FROM (SELECT a.grantee AS role, v.relowner FROM pg_class v, unnest({{tables}}::text[]) t
        JOIN pg_class c ON c.oid = to_regclass(t), aclexplode(c.relacl) a
    WHERE v.oid = to_regclass({{view}}) AND a.privilege_type = 'SELECT'
        AND a.grantee NOT IN (0, c.relowner, v.relowner)
    GROUP BY 1, 2 HAVING count(DISTINCT c.oid) = {len(READERS)}) due
FULL JOIN (SELECT DISTINCT a.grantee AS role FROM pg_class v, aclexplode(v.relacl) a
    WHERE v.oid = to_regclass({{view}}) AND a.grantee <> v.relowner) has ON has.role = due.role
WHERE due.role IS NULL OR has.role IS NULL"""
# The view reads with the rights of its owner, the owner of the outbox, whoever runs this. Rights are granted
# before: a member of that role that does not inherit may not grant any after it.
OWN = """
DECLARE
    ours constant name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass({events}));
    found record;
BEGIN
    FOR found IN {differing} LOOP
        EXECUTE format(CASE WHEN found.lacks THEN 'GRANT SELECT ON %s TO %s'
            ELSE 'REVOKE ALL ON %s FROM %s CASCADE' END, {name},
            CASE found.role WHEN 0 THEN 'PUBLIC' ELSE found.role::regrole::text END);
    END LOOP;
    EXECUTE format('ALTER VIEW %s OWNER TO %I', {name}, ours);
END
"""
OWNERS = text(f"""
SELECT quote_ident(pg_get_userbyid(c.relowner)), quote_ident(pg_get_userbyid(o.relowner))
FROM {RELATION}, pg_class o WHERE o.oid = to_regclass('{EVENTS}')
""")


class ViewOwners(NamedTuple):
    """The owners of a view and of the outbox, quoted for SQL."""

    view: str
    outbox: str


def owners(connection: Connection, view: Relation) -> ViewOwners | None:
    """Return the owners of a view and of the outbox; None where either is missing."""
    row = connection.execute(OWNERS, of(view)).one_or_none()
    return None if row is None else ViewOwners(*row)


def create_sql(schema: str, projection: str, query: str, *, anew: bool) -> str:
    """SQL that makes the view or replaces it; `anew` drops it first, where its columns are others.

    The groups of `outboxctl roles` may read it, and no other role: it reads with the rights of its owner,
    the owner of the outbox.
    """
    name = Identifier(schema, view_name(projection))
    create = SQL(CREATE).format(view=name, query=SQL(query)).as_string()
    view, events = Literal(name.as_string()), Literal(Identifier(schema, EVENTS).as_string())
    own = SQL(OWN).format(name=view, differing=_differing(schema, view), events=events).as_string()
    quote = tag("own", own)
    return f"{drop_sql(schema, projection) if anew else ''}{create}DO {quote}{own}{quote};\n"


def grants_differ(connection: Connection, view: Relation) -> bool:
    """Whether the view is there, and others may read it than should."""
    name = Literal(Identifier(view.schema, view.name).as_string())
    return driver(connection).execute(_differing(view.schema, name)).fetchone() is not None


def _differing(schema: str, view: Literal) -> Composed:
    tables = [Identifier(schema, table).as_string() for table in READERS]
    return SQL(DIFFERING).format(view=view, tables=Literal(tables))


def drop_sql(schema: str, projection: str) -> str:
    """SQL that drops it; refused by PostgreSQL where something else reads it."""
    return SQL("DROP VIEW IF EXISTS {};\n").format(Identifier(schema, view_name(projection))).as_string()


def shape(connection: Connection, schema: str, name: str) -> list[str]:
    """Names and types of a view's columns in their order; none where it is not there."""
    return list(connection.execute(SHAPE, {"schema": schema, "name": name}).scalar() or ())
