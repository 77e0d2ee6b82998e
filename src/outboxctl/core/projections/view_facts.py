"""What makes a view's rows change without an event, or hides them: functions of time, row level security."""

import re

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.dependencies import TREES, VIEWS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

FUNCTION = re.compile(r":(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)")
OPERATOR = re.compile(r":opno (\d+)")
# SQL's own words for a value of the session or the clock, by SQLValueFunctionOp; some with a precision.
VALUE = re.compile(r"\{SQLVALUEFUNCTION :op (\d+)")
WORDS = (
    *("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
    *("LOCALTIME", "LOCALTIME", "LOCALTIMESTAMP", "LOCALTIMESTAMP"),
    *("CURRENT_ROLE", "CURRENT_USER", "USER", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"),
)
# Of PostgreSQL's own stable functions those that depend on the clock or the session: others are stable for a
# time zone or for json. A user's stable function may read tables of which nobody knows. Those of an extension
# are stable for a dictionary or a spatial reference.
CHANGING = text("""
WITH called AS (
    SELECT unnest(CAST(:functions AS oid[])) AS oid
    UNION SELECT oprcode FROM pg_operator WHERE oid = ANY (CAST(:operators AS oid[]))
)
SELECT concat(CASE WHEN n.nspname <> 'pg_catalog' THEN concat(quote_ident(n.nspname), '.') END,
    quote_ident(p.proname), '()') AS name
FROM called JOIN pg_proc p USING (oid) JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile = 'v' OR p.provolatile = 's' AND CASE WHEN n.nspname = 'pg_catalog'
    THEN p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', 'current_setting')
        OR p.proname = 'age' AND p.pronargs = 1
    ELSE NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') END
ORDER BY name
""")
# A view reads its tables with the rights of its owner, or of whoever asks (security_invoker).
HIDDEN = text(f"""
WITH RECURSIVE {VIEWS}, read AS (
    SELECT c.oid, current_user AS reader FROM {RELATION} WHERE c.relkind <> 'v'
    UNION SELECT d.refobjid, CASE WHEN v.reloptions && '{{security_invoker=true,security_invoker=on}}'
        THEN current_user ELSE pg_get_userbyid(v.relowner) END
    FROM rules r JOIN pg_class v ON v.oid = r.ev_class
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
)
SELECT DISTINCT n.nspname::text, c.relname::text FROM read
JOIN pg_class c ON c.oid = read.oid AND c.relrowsecurity JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles u ON u.rolname = read.reader AND NOT u.rolsuper AND NOT u.rolbypassrls
WHERE c.relforcerowsecurity OR NOT pg_has_role(read.reader, c.relowner, 'USAGE')
ORDER BY 1, 2
""")


def volatile(connection: Connection, view: Relation) -> list[str]:
    """Functions of a view whose result can change without any change of a table, such as `now()`.

    Also functions of the user's own that are not immutable: what they read is not known.
    """
    trees = [str(tree) for _, tree in connection.execute(TREES, of(view))]
    functions, operators = (
        {int(oid) for each in trees for oid in kind.findall(each)} for kind in (FUNCTION, OPERATOR)
    )
    words = {WORDS[int(op)] for each in trees for op in VALUE.findall(each)}
    given = {"functions": [*functions], "operators": [*operators]}
    return [*sorted(words), *connection.execute(CHANGING, given).scalars()]


def row_security(connection: Connection, view: Relation) -> list[Relation]:
    """Tables that a view reads and whose row level security applies to whoever reads them there.

    That is the view's owner; the current role for a view with `security_invoker` and for a table.
    """
    return [Relation(*row) for row in connection.execute(HIDDEN, of(view))]
