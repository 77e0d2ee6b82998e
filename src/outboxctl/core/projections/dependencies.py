"""What a view reads: tables with their columns.

PostgreSQL records it when a view is made (`pg_depend`), but for a row that is taken as a whole beside columns
by name (`r.id, to_jsonb(r)`): that only the view's parse tree shows (`pg_rewrite.ev_action`).
"""

import re
from collections import defaultdict
from collections.abc import Set

from psycopg.sql import Identifier

from outboxctl.core.projections.catalog import RELATION, look_up, oid_of
from outboxctl.core.projections.fields import fields, stored
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.kept import kept
from outboxctl.domain.projection import Relation

# The relation itself and all views that it reads, at any depth, with their parse trees.
VIEWS = f"""
views (oid) AS (
    SELECT c.oid FROM {RELATION}
    UNION SELECT d.refobjid FROM views JOIN pg_rewrite r ON r.ev_class = views.oid AND r.ev_type = '1'
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), rules AS (
    SELECT r.oid, r.ev_class, r.ev_action::text AS tree FROM views JOIN pg_class c USING (oid)
    JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1' WHERE c.relkind = 'v'
)"""
TREES = text(f"WITH RECURSIVE {VIEWS} SELECT oid::bigint, tree FROM rules")
# Tables that inherit have rows of their own; partitions have those of their parent, whose triggers they get.
USED = text(f"""
WITH RECURSIVE {VIEWS}, read (rule, oid, num) AS (
    SELECT 0::oid, c.oid, 0 FROM {RELATION} WHERE c.relkind <> 'v'
    UNION SELECT r.oid, d.refobjid, d.refobjsubid FROM rules r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), family (ancestor, oid) AS (
    SELECT DISTINCT oid, oid FROM read UNION SELECT f.ancestor, i.inhrelid FROM family f
    JOIN pg_inherits i ON i.inhparent = f.oid JOIN pg_class p ON p.oid = f.oid AND p.relkind <> 'p'
)
SELECT r.rule::bigint AS rule, p.reltype::bigint AS type, n.nspname::text AS schema, c.relname::text AS name,
    a.attname::text AS "column"
FROM read r JOIN family f ON f.ancestor = r.oid JOIN pg_class c ON c.oid = f.oid
JOIN pg_class p ON p.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = r.num AND r.num <> 0
WHERE c.relkind IN ('r', 'p', 'm', 'f')
""")
INHERITS = text("""
WITH RECURSIVE family (oid, ancestor) AS (
    SELECT i.inhrelid, i.inhparent FROM pg_inherits i
    UNION SELECT f.oid, i.inhparent FROM family f JOIN pg_inherits i ON i.inhrelid = f.ancestor
)
SELECT n.nspname::text, c.relname::text, m.nspname::text, p.relname::text FROM family f
JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = f.ancestor JOIN pg_namespace m ON m.oid = p.relnamespace
WHERE f.oid IN (SELECT to_regclass(name)::oid FROM unnest(CAST(:tables AS text[])) name)
    AND f.ancestor IN (SELECT to_regclass(name)::oid FROM unnest(CAST(:above AS text[])) name)
""")
WHOLE_ROW = re.compile(r":varattno 0 :vartype (\d+)")
RECORD = 2249  # the type of a row of a join or a subquery
# A join with a name, of which the tree says no more than that its row is taken as a whole.
NAMED_JOIN = re.compile(r":alias \{ALIAS [^}]*\} :eref \{ALIAS (?:[^}\\]|\\.)*\} :rtekind 2\b", re.S)


@kept
def used(connection: Connection, view: Relation) -> dict[Relation, frozenset[str]]:
    """The tables that a view reads, through views of views, with the columns; none: every column counts.

    Instead of a virtual generated column those that it is computed from: no trigger can read it.
    A table as the document is read as a whole. Materialized views and foreign tables, on which there are no
    triggers, are among them. A function's own queries are not known.
    """
    trees = {rule: str(tree) for rule, tree in look_up(connection, TREES, view)}
    found: defaultdict[Relation, set[str]] = defaultdict(set)
    whole: set[Relation] = set()
    for rule, type_, schema, name, column in look_up(connection, USED, view):
        table = Relation(schema, name)
        found[table].update(filter(None, [column]))
        if rule not in trees or _row_references(trees[rule], {type_}):
            whole.add(table)
    return {
        table: frozenset(() if table in whole else stored(fields(connection, table), names))
        for table, names in found.items()
    }


def occurrences(connection: Connection, view: Relation, table: Relation) -> int:
    """How often a view, or a view that it reads, names a table: 2 for one that is joined to itself."""
    oid = oid_of(connection, table)
    trees = look_up(connection, TREES, view)
    return sum(str(tree).count(f":rtekind 0 :relid {oid} ") for _, tree in trees)


def ancestors(
    connection: Connection, tables: Set[Relation], above: Set[Relation]
) -> dict[Relation, Relation]:
    """Those of the tables that inherit, at any depth, from one of those `above`, each with that."""
    named = {
        name: [Identifier(each.schema, each.name).as_string() for each in several]
        for name, several in (("tables", tables), ("above", above))
    }
    rows = connection.execute(INHERITS, named)
    return {Relation(*row[:2]): Relation(*row[2:]) for row in rows}


def _row_references(tree: str, types: set[int]) -> set[int]:
    """Those of the row types whose rows a rule takes as a whole; all where it does so by a join's name."""
    taken = {int(each) for each in WHOLE_ROW.findall(tree)}
    return types if RECORD in taken and NAMED_JOIN.search(tree) else types & taken


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
SECURED = f"""
WITH RECURSIVE {VIEWS}, read AS (
    SELECT c.oid, current_user AS reader FROM {RELATION} WHERE c.relkind <> 'v'
    UNION SELECT d.refobjid, CASE WHEN v.reloptions && '{{{{security_invoker=true,security_invoker=on}}}}'
        THEN current_user ELSE pg_get_userbyid(v.relowner) END
    FROM rules r JOIN pg_class v ON v.oid = r.ev_class
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
)
SELECT DISTINCT n.nspname::text, c.relname::text{{more}} FROM read
JOIN pg_class c ON c.oid = read.oid AND c.relrowsecurity JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles u ON u.rolname = read.reader
WHERE (NOT (u.rolsuper OR u.rolbypassrls)
    AND (c.relforcerowsecurity OR NOT pg_has_role(read.reader, c.relowner, 'USAGE'))) = {{applies}}
ORDER BY 1, 2
"""
HIDDEN = text(SECURED.format(more="", applies="true"))
PASSED = text(SECURED.format(more=", quote_ident(read.reader)", applies="false"))


def volatile(connection: Connection, view: Relation) -> list[str]:
    """Functions of a view whose result can change without any change of a table, such as `now()`.

    Also functions of the user's own that are not immutable: what they read is not known.
    """
    trees = [str(tree) for _, tree in look_up(connection, TREES, view)]
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
    return [Relation(*row) for row in look_up(connection, HIDDEN, view)]


def passed_security(connection: Connection, view: Relation) -> list[tuple[Relation, str]]:
    """Tables that a view reads past their row level security, each with the role that it reads as."""
    return [(Relation(*row[:2]), row[2]) for row in look_up(connection, PASSED, view)]
