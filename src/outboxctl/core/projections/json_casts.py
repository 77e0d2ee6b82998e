"""Who else owns what a projection reads or calls: tables, views, functions, types, their casts to json.

Whoever owns a type can make its cast to json, which PostgreSQL's `to_json` and its like look for and call,
with the rights of whoever reads. Types are looked at for each reading: a column can be added at any time.
"""

from typing import NamedTuple

from outboxctl.core.projections.catalog import look_up
from outboxctl.core.projections.dependencies import VIEWS
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation

# Whether there is any cast to json (114) that is not PostgreSQL's: an index finds at once that there is none.
CASTS = "SELECT EXISTS (SELECT FROM pg_cast WHERE oid >= 16384 AND casttarget = 114)"
# Whether one is by a function that no superuser must have made (12, 13: internal and C), as extensions have.
BY_FUNCTION = """SELECT EXISTS (SELECT FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
    WHERE c.oid >= 16384 AND c.casttarget = 114 AND p.prolang NOT IN (12, 13))"""
OTHERS = text(f"""
WITH RECURSIVE {VIEWS}, used AS (
    SELECT d.refclassid AS class, d.refobjid AS oid FROM rules r JOIN pg_depend d
        ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
), read AS (
    SELECT oid FROM views UNION SELECT oid FROM used WHERE class = 'pg_class'::regclass
), called (oid) AS (
    SELECT oid FROM used WHERE class = 'pg_proc'::regclass
    UNION SELECT o.oprcode FROM used JOIN pg_operator o USING (oid) WHERE class = 'pg_operator'::regclass
), types (oid) AS (
    (SELECT a.atttypid FROM read JOIN pg_attribute a ON a.attrelid = read.oid AND a.attnum > 0
        UNION SELECT oid FROM used WHERE class = 'pg_type'::regclass
        UNION SELECT p.prorettype FROM called JOIN pg_proc p USING (oid))
    UNION SELECT p.oid FROM types JOIN pg_type t USING (oid) CROSS JOIN LATERAL (
        SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype
        UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0) p
), found (owner, name, cast_by) AS (
    SELECT c.relowner, c.oid::regclass::text, '' FROM read JOIN pg_class c USING (oid)
    UNION ALL SELECT p.proowner, p.oid::regprocedure::text, '' FROM called JOIN pg_proc p USING (oid)
    UNION ALL SELECT t.typowner, t.oid::regtype::text, '' FROM types JOIN pg_type t USING (oid)
        WHERE t.typtype IN ('e', 'd', 'r', 'b') AND t.typelem = 0 OR t.typrelid IN (
            SELECT oid FROM pg_class WHERE relkind = 'c')
    UNION ALL SELECT p.proowner, t.oid::regtype::text, p.oid::regprocedure::text
        FROM types t JOIN pg_cast c ON c.castsource = t.oid AND c.casttarget = 'json'::regtype
        JOIN pg_proc p ON p.oid = c.castfunc AND p.prolang NOT IN (12, 13)
)
SELECT DISTINCT quote_ident(u.rolname), name, cast_by FROM found JOIN pg_roles u ON u.oid = owner
WHERE NOT u.rolsuper AND u.oid <> (SELECT relowner FROM pg_class WHERE oid = to_regclass('{EVENTS}'))
ORDER BY 1, 2
""")


class OwnedByOther(NamedTuple):
    """A table, view, function or type of a role that neither owns the outbox nor is a superuser.

    `cast_by`: the role's function by which the type is cast to json, if there is one.
    """

    owner: str
    name: str
    cast_by: str


def others(connection: Connection, document: Relation) -> list[OwnedByOther]:
    """What a view reads that is others'."""
    return [OwnedByOther(*row) for row in look_up(connection, OTHERS, document)]


def refuse_casts(connection: Connection, document: Relation) -> None:
    """Raise ReadRefusedError where a row of this view as JSON may run a cast of another role's."""
    if not connection.exec_driver_sql(BY_FUNCTION).scalar():
        return
    for each in others(connection, document):
        if each.cast_by:
            why = f"the cast of {each.name} to json is {each.cast_by} of the role {each.owner}"
            raise ReadRefusedError("", brief(f"{why}: drop it, or give it to the outbox's owner", 500))
