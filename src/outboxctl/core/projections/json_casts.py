"""Casts to json that belong to neither the outbox's owner nor a superuser: no document is read by them.

`to_json` and its like look for a cast of a value's type to json, and call it with the rights of whoever
reads. The types are looked at for each reading: a column can be added at any time.
"""

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
# Of the types of all columns and function results that a view uses, and of the types within these.
FOREIGN_CAST = text(f"""
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
)
SELECT format('the cast of %s to json is %s of the role %I', t.oid::regtype, p.oid::regprocedure, u.rolname)
FROM types t JOIN pg_cast c ON c.castsource = t.oid AND c.casttarget = 'json'::regtype
JOIN pg_proc p ON p.oid = c.castfunc AND p.prolang NOT IN (12, 13) JOIN pg_roles u ON u.oid = p.proowner
WHERE NOT u.rolsuper AND u.oid <> (SELECT relowner FROM pg_class WHERE oid = to_regclass('{EVENTS}'))
ORDER BY 1 LIMIT 1
""")


def foreign_cast(connection: Connection, document: Relation) -> str | None:
    """Describe a cast of another role that a row of this view as JSON may run; None where there is none."""
    if not connection.exec_driver_sql(BY_FUNCTION).scalar():
        return None
    rows = look_up(connection, FOREIGN_CAST, document)
    return brief(rows[0][0], 400) if rows else None


def refuse_casts(connection: Connection, document: Relation) -> None:
    """Raise ReadRefusedError where a row of this view as JSON may run a cast of another role."""
    if cast := foreign_cast(connection, document):
        raise ReadRefusedError("", f"{cast}: drop it, or give it to the outbox's owner")
