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
# Whether this role may give a view to the owner of the outbox, `ours`, and may grant it then.
GIVES = """pg_has_role(ours, 'USAGE')
        AND pg_has_role(ours, CASE WHEN current_setting('server_version_num')::int < 160000
            THEN 'MEMBER' ELSE 'SET' END)
        AND ((SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            OR has_schema_privilege(ours, {schema}, 'CREATE'))"""
OWNERS = text(f"""
SELECT quote_ident(owner), quote_ident(ours), owner IN (ours, current_user) OR rolsuper,
    owner <> ours AND {GIVES.format(schema="relnamespace")}
FROM (SELECT pg_get_userbyid(c.relowner) AS owner, pg_get_userbyid(o.relowner) AS ours, c.relnamespace
    FROM {RELATION}, pg_class o WHERE o.oid = to_regclass('{EVENTS}')) v JOIN pg_roles ON rolname = owner
""")
# A table of which that owner may not read what the view reads. By the catalog: to plan a query of the view
# would run functions that are called immutable, such as in a policy, as this role.
UNREAD = """
SELECT c.relname::text FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE r.ev_class = to_regclass({view}) AND NOT CASE d.refobjsubid
    WHEN 0 THEN has_any_column_privilege({owner}, c.oid, 'SELECT')
    ELSE has_column_privilege({owner}, c.oid, d.refobjsubid::smallint, 'SELECT') END
ORDER BY 1 LIMIT 1"""
# The view reads with its owner's rights: those of the outbox's owner, whoever runs this. One that was there
# keeps its owner, who may replace it.
GIVE = """
DECLARE
    ours constant name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass({events}));
    owner constant name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass({name}));
    unread constant name := ({unread});
    found record;
BEGIN
    IF owner NOT IN (ours, current_user) AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = owner) THEN
        RAISE EXCEPTION 'the view % belongs to the role %', {name}, owner USING HINT = {trust};
    ELSIF owner <> ours AND {gives} THEN
        IF unread IS NOT NULL THEN
            RAISE insufficient_privilege USING MESSAGE = 'permission denied for table ' || unread;
        END IF;
        EXECUTE format('ALTER VIEW %s OWNER TO %I', {name}, ours);
    END IF;
    FOR found IN {differing} LOOP
        EXECUTE format(CASE WHEN found.lacks THEN 'GRANT SELECT ON %s TO %s'
            ELSE 'REVOKE ALL ON %s FROM %s CASCADE' END, {name},
            CASE found.role WHEN 0 THEN 'PUBLIC' ELSE found.role::regrole::text END);
    END LOOP;
END
"""
TRUST = "if you trust that role: ALTER VIEW … OWNER TO …; otherwise drop it"


class ViewOwners(NamedTuple):
    """The owner of a view and that of the outbox, quoted for SQL.

    `trusted`: the view's is that of the outbox, a superuser or this role. `given`: this role may, and `apply`
    will, make the outbox's its owner.
    """

    owner: str
    ours: str
    trusted: bool
    given: bool


def owners(connection: Connection, view: Relation) -> ViewOwners | None:
    """Whose a view is; None where it or the outbox is not there."""
    row = connection.execute(OWNERS, of(view)).one_or_none()
    return None if row is None else ViewOwners(*row)


def unread(connection: Connection, view: Relation, owner: str) -> str | None:
    """A table of which `owner`, quoted for SQL, may not read what the view reads, if there is one."""
    name, role = (
        Identifier(view.schema, view.name).as_string(),
        SQL("{}::regrole::oid").format(Literal(owner)),
    )
    found = driver(connection).execute(SQL(UNREAD).format(view=Literal(name), owner=role)).fetchone()
    return found and found[0]


def create_sql(schema: str, projection: str, query: str, *, anew: bool) -> str:
    """SQL that makes the view or replaces it; `anew` drops it first, where its columns are others.

    The groups of `outboxctl roles` may read it, and no other role: it reads with its owner's rights.
    The owner is the outbox's, where this role may give it away; a stranger's view is refused.
    """
    name = Identifier(schema, view_name(projection))
    create = SQL(CREATE).format(view=name, query=SQL(query)).as_string()
    view = Literal(name.as_string())
    place = Literal(Identifier(schema).as_string())
    gives = SQL(GIVES).format(schema=SQL("{}::regnamespace").format(place))
    events = Literal(Identifier(schema, EVENTS).as_string())
    parts = {"name": view, "differing": _differing(schema, view), "events": events, "gives": gives}
    unread = SQL(UNREAD).format(view=view, owner=SQL("ours"))
    grant = SQL(GIVE).format(**parts, unread=unread, trust=Literal(TRUST)).as_string()
    quote = tag("grant", grant)
    return f"{drop_sql(schema, projection) if anew else ''}{create}DO {quote}{grant}{quote};\n"


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
