"""What a view reads: tables with their columns.

PostgreSQL records it when a view is made (`pg_depend`), but for a row that is taken as a whole beside columns
by name (`r.id, to_jsonb(r)`): that only the view's parse tree shows (`pg_rewrite.ev_action`).
"""

import re
from collections import defaultdict
from collections.abc import Set
from typing import NamedTuple

from psycopg.sql import Identifier

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.fields import fields, stored
from outboxctl.core.sql import Connection, text
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
SELECT r.rule::bigint, p.reltype::bigint AS type, n.nspname::text AS schema, c.relname::text AS name,
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
OID = text(f"SELECT c.oid::bigint FROM {RELATION}")
WHOLE_ROW = re.compile(r":varattno 0 :vartype (\d+)")
RECORD = 2249  # the type of a row of a join or a subquery
# A join with a name, of which the tree says no more than that its row is taken as a whole.
NAMED_JOIN = re.compile(r":alias \{ALIAS [^}]*\} :eref \{ALIAS (?:[^}\\]|\\.)*\} :rtekind 2\b", re.S)


class Read(NamedTuple):
    """One dependency of a view's rule; `type` is that of the table's rows, `column` None for none by name."""

    rule: int
    type: int
    schema: str
    name: str
    column: str | None


def used(connection: Connection, view: Relation) -> dict[Relation, frozenset[str]]:
    """The tables that a view reads, through views of views, with the columns; none: every column counts.

    Instead of a virtual generated column those that it is computed from: no trigger can read it.
    A table as the document is read as a whole. Materialized views and foreign tables, on which there are no
    triggers, are among them. A function's own queries are not known.
    """
    trees = {rule: str(tree) for rule, tree in connection.execute(TREES, of(view))}
    found: defaultdict[Relation, set[str]] = defaultdict(set)
    whole: set[Relation] = set()
    for read in (Read(*row) for row in connection.execute(USED, of(view))):
        table = Relation(read.schema, read.name)
        found[table].update(filter(None, [read.column]))
        if read.rule not in trees or _row_references(trees[read.rule], {read.type}):
            whole.add(table)
    return {
        table: frozenset(() if table in whole else stored(fields(connection, table), names))
        for table, names in found.items()
    }


def occurrences(connection: Connection, view: Relation, table: Relation) -> int:
    """How often a view, or a view that it reads, names a table: 2 for one that is joined to itself."""
    oid = connection.execute(OID, of(table)).scalar()
    trees = connection.execute(TREES, of(view))
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
