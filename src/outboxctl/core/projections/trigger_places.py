"""Which triggers are on which table of a partitioned one, as SQL: so that a printed script is right anywhere.

A statement fires the triggers of the table that it names, and none of that table's partitions or parents. So
the triggers of statements are on a partitioned table and on each partition of it that is there when they are
made. A trigger for each row, which PostgreSQL copies to partitions that are made later, writes the events of
these; its copies on the others are disabled. So no change is missed before the next `apply`; at most it has
two events.

A foreign table has no transition tables, and PostgreSQL refuses a write through its parent that needs them.
Where a partition is one, all is done row by row. One is not attached later: the trigger for each row is a
constraint trigger, which no foreign table can have, and an ATTACH that fails harms less than writes that do.
"""

# Only the owner of a table disables a trigger; of copies, before PostgreSQL 15, only a superuser.
MAY_DISABLE = """(pg_has_role(c.relowner, 'USAGE') AND (current_setting('server_version_num')::int >= 150000
                OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)))"""
# By the bits of pg_trigger.tgtype: row 1, INSERT 4, DELETE 8, UPDATE 16, TRUNCATE 32. One with transition
# tables takes one event only. That of rows PostgreSQL copies to the partitions, also to later ones.
TRIGGERS = """
    ('insert', 4, '', 'new_rows', 'INSERT', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT'),
    ('update', 16, 'old_rows', 'new_rows', 'UPDATE',
        'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT'),
    ('delete', 8, 'old_rows', '', 'DELETE', 'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT'),
    ('truncate', 32, '', '', 'TRUNCATE', 'FOR EACH STATEMENT'),
    ('row', 29, '', '', 'INSERT OR UPDATE OR DELETE', 'FOR EACH ROW')"""
# A row for each trigger that a table or partition has to have. `setwise`: what writes the events of a
# partitioned table's statements; who may not disable the copies leaves what is there.
WANTED = f"""
SELECT k.relid::regclass AS watched, k.level AS depth, v.watched AS declared,
    v.name || '_' || t.suffix AS name, v.name || '_row' AS by_row,
    CASE t.type & 1 WHEN 1 THEN v.row_function ELSE v.function END AS function,
    t.type, t.old_table, t.new_table, t.events, t.clauses, s.setwise,
    CASE WHEN s.setwise AND t.type & 1 = 1 THEN 'CONSTRAINT TRIGGER' ELSE 'TRIGGER' END AS kind
FROM (VALUES {{tables}}) v (watched, name, function, row_function, by_rows),
    (VALUES {TRIGGERS}) t (suffix, type, old_table, new_table, events, clauses),
LATERAL (
    SELECT NOT r.relispartition AND (r.relkind <> 'p' OR (SELECT bool_and(c.relkind <> 'f')
            AND (bool_and(c.relkind = 'p' OR {MAY_DISABLE}) OR EXISTS (SELECT FROM pg_trigger g
                WHERE g.tgrelid = r.oid AND g.tgname = v.name || '_insert' AND g.tgnewtable IS NOT NULL))
        FROM pg_partition_tree(r.oid) p JOIN pg_class c ON c.oid = p.relid)) AS setwise
    FROM pg_class r WHERE r.oid = v.watched) s,
LATERAL (SELECT v.watched::oid, 0 UNION SELECT relid, level
    FROM pg_partition_tree(v.watched)) k (relid, level)
WHERE CASE WHEN t.type & 1 = 1 THEN v.by_rows AND k.level = 0 WHEN t.events = 'TRUNCATE'
    THEN (SELECT relkind <> 'f' FROM pg_class WHERE oid = k.relid) ELSE s.setwise END"""
# Copies that are not as they should be. One of a partition that has partitions of its own never fires, and
# is what those that are made later are copied from. `may`: whether this role could make it so.
COPIES = f"""
SELECT c.oid::regclass AS watched, c.oid::bigint AS oid, t.tgname::text AS name, w.setwise,
    {MAY_DISABLE} AS may
FROM ({{wanted}}) w, pg_partition_tree(w.watched) p JOIN pg_class c ON c.oid = p.relid
JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgparentid <> 0
WHERE w.type & 1 = 1 AND t.tgname = w.name AND p.isleaf AND (t.tgenabled = 'D') <> w.setwise"""
# Triggers that differ. One that is not as it should be is two rows: what is there, and what is wanted.
DIFFERING = """\
SELECT t.tgname, t.tgrelid::regclass AS place, t.tgtype, t.tgenabled = 'O' AS enabled,
                t.tgconstraint <> 0 AS is_constraint, w.*
            FROM ({wanted}) w
            FULL JOIN (SELECT t.* FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE {ours} AND t.tgparentid = 0) t
            ON t.tgrelid = w.watched AND t.tgname = w.name AND t.tgfoid = to_regprocedure(w.function)
                AND t.tgtype = w.type AND (t.tgconstraint <> 0) = (w.kind <> 'TRIGGER')
                AND coalesce(t.tgoldtable, '') = w.old_table AND coalesce(t.tgnewtable, '') = w.new_table
                AND t.tgenabled = 'O' AND t.tgqual IS NULL AND t.tgattr::text = ''
            WHERE t.oid IS NULL OR w.name IS NULL"""
