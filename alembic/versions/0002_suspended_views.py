"""The application's migrations put the views of projections aside, and make them again, in one transaction.

A view of the outbox's owner is dropped and made with that role's rights, whoever owns the table: what is made
is what `pg_get_viewdef` said of it, and it may read the relations that it read before, and no others, and run
functions and types of whoever had such in it. Any other view is dropped and made with the caller's rights.

Revision ID: 0002_suspended_views
Revises: 0001_outbox
"""

from alembic import op

from outboxctl.domain.projection import EVERYTHING

revision = "0002_suspended_views"
down_revision = "0001_outbox"

PINNED = "SET search_path = pg_catalog, pg_temp"
DEFINER = f"SECURITY DEFINER {PINNED}"

# All that the documents of a projection read, directly or by views, where one of these tables is among it.
# `place`: how far a view is above such a table, at most; NULL: it reads none.
READING = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_reading(
    tables regclass[], OUT projection text, OUT relation oid, OUT place int
) RETURNS SETOF record LANGUAGE sql STABLE {PINNED} AS $sql$
WITH RECURSIVE family (oid) AS (
    SELECT t::oid FROM unnest(tables) t
    UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
), edges AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS read FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
), above (oid, place) AS (
    SELECT f.oid, 0 FROM family f
    UNION SELECT e.view, a.place + 1 FROM above a JOIN edges e ON e.read = a.oid
), documents (name, oid) AS (
    SELECT p.name::text, to_regclass(format('%I.%I', p.definition #>> '{{document,schema}}',
        p.definition #>> '{{document,name}}'))::oid FROM @.outbox_projections p
    UNION SELECT p.name::text, r::oid FROM @.outbox_projections p,
        jsonb_path_query_array(p.suspended, '$.views[*].reads[*]') a, jsonb_array_elements_text(a) r
    UNION SELECT d.name, coalesce(e.read, i.inhrelid) FROM documents d
        LEFT JOIN edges e ON e.view = d.oid LEFT JOIN pg_inherits i ON i.inhparent = d.oid
    WHERE coalesce(e.read, i.inhrelid) IS NOT NULL
)
SELECT d.name, d.oid, max(a.place) FROM documents d LEFT JOIN above a USING (oid)
WHERE d.oid IS NOT NULL AND d.name IN (SELECT b.name FROM documents b JOIN above USING (oid)) GROUP BY 1, 2
$sql$
"""
# The names and types of the columns of what is a projection's document.
SHAPE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_shape(definition jsonb) RETURNS text
LANGUAGE sql STABLE {PINNED} AS $sql$
SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
    AND attrelid = to_regclass(format('%I.%I', definition #>> '{{document,schema}}',
        definition #>> '{{document,name}}'))
$sql$
"""
# What another version of says that rows may be others: the file of a table, the query of a view.
FILE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_file(relation oid) RETURNS text LANGUAGE sql STABLE {PINNED}
AS $sql$
SELECT coalesce(pg_relation_filenode(relation)::text, pg_get_viewdef(relation))
$sql$
"""
# The functions that a view runs, also by operators. A cast is one of them.
FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_functions(view oid, OUT name text, OUT owner oid)
RETURNS SETOF record LANGUAGE sql STABLE {PINNED} AS $sql$
SELECT format('the function %s', p.oid::regprocedure), p.proowner
FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
JOIN pg_proc p ON p.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
WHERE r.ev_class = view
$sql$
"""
# Functions and types of roles that had none there: whoever reads the view would run code of theirs. A type
# does so by casts of which the view says nothing (`column || 'x'`), and while the view is made.
TRUSTED = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_trusted(saved jsonb) RETURNS void
LANGUAGE plpgsql STABLE {PINNED} AS $trusted$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT n.name, r.rolname AS owner FROM (
            SELECT f.name, f.owner FROM @.outbox_projections_functions(to_regclass(saved ->> 'view')) f
            WHERE NOT saved -> 'runs' ? f.owner::text
            UNION ALL SELECT format('the type %s', t.oid::regtype), t.typowner
            FROM (SELECT u.owner, a.atttypid AS oid
                FROM jsonb_to_recordset(saved -> 'used') u ("table" text, oid oid, name name, owner oid)
                JOIN pg_attribute a ON a.attrelid IN (u.oid, to_regclass(u."table")) AND a.attname = u.name
                UNION ALL SELECT u.owner, to_regtype(u.name)
                FROM jsonb_to_recordset(saved -> 'types') u (name text, owner oid)) was
            JOIN pg_type t ON t.oid = was.oid AND t.typowner <> was.owner
        ) n JOIN pg_roles r ON r.oid = n.owner
        WHERE NOT r.rolsuper AND r.rolname NOT IN (saved ->> 'owner', current_user) ORDER BY 1 LOOP
        RAISE insufficient_privilege USING
            MESSAGE = format('the view %s of the projection %s would use %s of the role %I, who had'
                ' none in it', saved ->> 'view', saved ->> 'projections', each.name, each.owner),
            HINT = format('give it to %I, who owns the view, or to a superuser,'
                ' before outbox_projections_resume', saved ->> 'owner');
    END LOOP;
END
$trusted$
"""
# All that CREATE VIEW, ALTER VIEW, COMMENT and GRANT need to make a view again. What it `reads` by oid: none
# of that may be another relation then.
VIEW = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_view(view oid) RETURNS jsonb LANGUAGE sql STABLE {PINNED}
AS $sql$
WITH uses AS (
    SELECT d.refobjid, d.refobjsubid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
        AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    WHERE r.ev_class = view AND d.refobjid <> view
)
SELECT jsonb_build_object('runs', (SELECT coalesce(jsonb_agg(DISTINCT f.owner::text), '[]')
        FROM @.outbox_projections_functions(view) f),
    'types', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', t.oid::regtype,
            'owner', t.typowner)), '[]')
        FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
            AND d.refclassid = 'pg_type'::regclass JOIN pg_type t ON t.oid = d.refobjid
        WHERE r.ev_class = view),
    'view', format('%I.%I', n.nspname, c.relname),
    'owner', pg_get_userbyid(c.relowner), 'query', pg_get_viewdef(c.oid),
    'options', (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)),
        ', ') FROM unnest(c.reloptions) o),
    'comment', obj_description(c.oid, 'pg_class'),
    'columns', (SELECT jsonb_agg(jsonb_build_object('name', a.attname,
            'comment', col_description(a.attrelid, a.attnum), 'value', pg_get_expr(d.adbin, d.adrelid)))
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0),
    'rights', (SELECT jsonb_agg(jsonb_build_object('verb', x.privilege_type || x.columns,
            'to', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
            'again', x.is_grantable))
        FROM (SELECT x.*, '' AS columns FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
            UNION ALL SELECT x.*, format(' (%I)', a.attname) FROM pg_attribute a, aclexplode(a.attacl) x
            WHERE a.attrelid = c.oid) x),
    'reads', (SELECT coalesce(jsonb_agg(DISTINCT d.refobjid::text), '[]') FROM uses d),
    'used', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('table', a.attrelid::regclass,
            'oid', a.attrelid, 'num', a.attnum, 'name', a.attname, 'owner', t.typowner)), '[]')
        FROM uses d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            JOIN pg_type t ON t.oid = a.atttypid
        WHERE d.refobjsubid > 0))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = view
$sql$
"""
SAVE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_save(
    tables regclass[], OUT place int, OUT view text, OUT own bool
) RETURNS SETOF record LANGUAGE plpgsql {DEFINER} AS $save$
DECLARE
    our_owner constant name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c
        WHERE c.oid = (SELECT p.tableoid FROM @.outbox_projections p LIMIT 1));
    each record;
    saved int;
    why text;
BEGIN
    FOR each IN SELECT c.oid::regclass AS name FROM unnest(tables) t JOIN pg_class c ON c.oid = t
            WHERE NOT pg_has_role(session_user, c.relowner, 'MEMBER') LOOP
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of %s', each.name);
    END LOOP;
    PERFORM FROM @.outbox_projections p
    WHERE name IN (SELECT r.projection FROM @.outbox_projections_reading(tables) r)
    ORDER BY name FOR UPDATE;
    FOR each IN SELECT t AS name FROM unnest(tables) t
            WHERE NOT EXISTS (SELECT FROM @.outbox_projections_reading(ARRAY[t])) LOOP
        RAISE NOTICE 'no projection in force reads %', each.name;
    END LOOP;
    -- Of a table that is written anew the file is another one: its values may have changed.
    UPDATE @.outbox_projections p SET suspended = jsonb_build_object(
        'views', coalesce(suspended -> 'views', '[]'),
        'shape', coalesce(suspended -> 'shape', to_jsonb(@.outbox_projections_shape(definition)), 'null'),
        'files', r.files || coalesce(suspended -> 'files', '{{}}'))
    FROM (SELECT r.projection,
            jsonb_object_agg(r.relation, @.outbox_projections_file(r.relation)) AS files
        FROM @.outbox_projections_reading(tables) r GROUP BY 1) r
    WHERE p.name = r.projection;
    SELECT count(*) INTO saved FROM @.outbox_projections_saved();
    FOR each IN SELECT r.*, c.relnamespace, c.relowner, pg_get_userbyid(c.relowner) AS owner,
                format('%I.%I', n.nspname, c.relname) AS name,
                coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
            FROM (SELECT r.relation, max(r.place) AS highest, min(r.projection) AS projection,
                    string_agg(DISTINCT r.projection, ', ') AS projections
                FROM @.outbox_projections_reading(tables) r WHERE r.place > 0 GROUP BY 1) r
            JOIN pg_class c ON c.oid = r.relation AND c.relkind = 'v'
            JOIN pg_namespace n ON n.oid = c.relnamespace
            ORDER BY r.highest DESC, r.relation LOOP
        why := CASE
            WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = each.relation AND ev_type <> '1')
                THEN 'a rule'
            WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = each.relation) THEN 'a trigger'
            WHEN EXISTS (SELECT FROM pg_seclabel
                WHERE objoid = each.relation AND classoid = 'pg_class'::regclass) THEN 'a security label'
            WHEN EXISTS (SELECT FROM pg_depend WHERE objid = each.relation
                AND classid = 'pg_class'::regclass AND deptype = 'e') THEN 'an extension that it belongs to'
            WHEN EXISTS (SELECT FROM aclexplode(each.acl) WHERE grantor <> each.relowner)
                THEN 'a right that another role than its owner has granted'
            WHEN NOT has_schema_privilege(each.relowner, each.relnamespace, 'CREATE')
                THEN format('the owner %I, who may create nothing in its schema', each.owner) END;
        IF why IS NOT NULL THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('the view %s has %s: it cannot be made again', each.name, why),
                HINT = 'drop it, and make it again, in the migration itself';
        END IF;
        saved := saved + 1;
        place := saved; view := each.name; own := each.owner IN (current_user, our_owner);
        UPDATE @.outbox_projections p SET suspended = jsonb_set(suspended, '{{views}}', suspended -> 'views'
            || jsonb_build_array(@.outbox_projections_view(each.relation) || jsonb_build_object(
                'place', saved, 'own', own, 'projections', each.projections)))
        WHERE p.name = each.projection;
        RETURN NEXT;
    END LOOP;
END
$save$
"""
# Both with the rights of whoever calls it: the outbox's owner by `outbox_projections_own`.
ANEW = """CASE WHEN strpos({view}, 'outbox_document_') > 0
                THEN 'change the query: outboxctl projection sql FILE prints what makes view and triggers'
                    ' anew, to be run before outbox_projections_resume'
                ELSE 'make the view anew, with another query, before outbox_projections_resume' END"""
DROP = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_drop(view text) RETURNS void LANGUAGE plpgsql {PINNED}
AS $drop$
DECLARE
    said text;
BEGIN
    EXECUTE 'DROP VIEW ' || view;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RAISE dependent_objects_still_exist USING
        MESSAGE = format('the view %s of a projection cannot be put aside: something depends on it', view),
        DETAIL = said, HINT = 'drop that, and make it again, in the migration itself';
END
$drop$
"""
MAKE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_make(saved jsonb, below text[]) RETURNS void
LANGUAGE plpgsql {PINNED} AS $make$
DECLARE
    view constant text := saved ->> 'view';
    each record;
    said text;
    state text;
BEGIN
    IF to_regclass(view) IS NOT NULL THEN
        RETURN;  -- the migration has made it anew, for example by the SQL of `projection sql`
    END IF;
    IF (saved -> 'own')::bool THEN  -- before too: literals of a type are read while the view is made
        PERFORM @.outbox_projections_trusted(saved);
    END IF;
    BEGIN
        EXECUTE format('CREATE VIEW %s %s AS %s', view, 'WITH (' || (saved ->> 'options') || ')',
            saved ->> 'query');
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
        SELECT u.*, a.attname AS now, coalesce(a.attisdropped, true) AS gone INTO each
        FROM jsonb_to_recordset(saved -> 'used') u ("table" text, oid oid, num int, name text)
        LEFT JOIN pg_attribute a ON a.attrelid = u.oid AND a.attnum = u.num
        WHERE a.attname IS DISTINCT FROM u.name::name ORDER BY u.oid, u.num LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = state,
            MESSAGE = format('the view %s of the projection %s cannot be made again: %s', view,
                saved ->> 'projections', CASE WHEN each.oid IS NULL THEN said
                WHEN each.gone THEN format('its column %I of %s was dropped', each.name, each.table)
                ELSE format('its column %I of %s was renamed to %I', each.name, each.table, each.now) END),
            HINT = concat(CASE WHEN NOT each.gone
                THEN 'rename the column before outbox_projections_suspend; or ' END,
                {ANEW.format(view="view")});
    END;
    FOR each IN SELECT DISTINCT d.refobjid::regclass AS name
            FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
            WHERE r.ev_class = to_regclass(view) AND NOT saved -> 'reads' ? d.refobjid::text
                AND NOT d.refobjid::regclass::text = ANY (below) LOOP
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the view %s of the projection %s would read another %s than before', view,
                saved ->> 'projections', each.name), HINT = {ANEW.format(view="view")};
    END LOOP;
    IF (saved -> 'own')::bool THEN
        PERFORM @.outbox_projections_trusted(saved);
    END IF;
    IF saved ->> 'owner' <> current_user THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', view, saved ->> 'owner');
    END IF;
    EXECUTE format('COMMENT ON VIEW %s IS %L', view, saved ->> 'comment');
    FOR each IN SELECT * FROM jsonb_to_recordset(saved -> 'columns') c (name text, comment text, value text)
            WHERE num_nonnulls(comment, value) > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', view, each.name, each.comment);
        IF each.value IS NOT NULL THEN
            EXECUTE format('ALTER VIEW %s ALTER %I SET DEFAULT %s', view, each.name, each.value);
        END IF;
    END LOOP;
    FOR each IN SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(grantee)) END AS name
            FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
            WHERE oid = to_regclass(view) LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', view, each.name);
    END LOOP;
    FOR each IN SELECT * FROM jsonb_to_recordset(saved -> 'rights') a (verb text, "to" text, again bool) LOOP
        EXECUTE format('GRANT %s ON %s TO %s', each.verb, view, each."to")
            || CASE WHEN each.again THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
END
$make$
"""
# What a transaction has saved, last first: nobody else sees it.
SAVED = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_saved(OUT saved jsonb, OUT below text[]) RETURNS SETOF record
LANGUAGE sql STABLE {DEFINER} AS $sql$
SELECT v, array_agg(v ->> 'view') OVER ()
FROM @.outbox_projections, jsonb_array_elements(suspended -> 'views') v
ORDER BY (v ->> 'place')::int DESC
$sql$
"""
OWN = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_own(place int, again bool) RETURNS void
LANGUAGE plpgsql {DEFINER} AS $own$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM @.outbox_projections_saved() s
            WHERE s.saved -> 'place' = to_jsonb(place) AND (s.saved -> 'own')::bool LOOP
        IF again THEN
            PERFORM @.outbox_projections_make(each.saved, each.below);
        ELSE
            PERFORM @.outbox_projections_drop(each.saved ->> 'view');
        END IF;
    END LOOP;
END
$own$
"""
SUSPEND = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_suspend(VARIADIC tables regclass[]) RETURNS SETOF text
LANGUAGE plpgsql {PINNED} AS $suspend$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM @.outbox_projections_save(tables) LOOP
        IF each.own THEN
            PERFORM @.outbox_projections_own(each.place, false);
        ELSE
            PERFORM @.outbox_projections_drop(each.view);
        END IF;
        RETURN NEXT each.view;
    END LOOP;
END
$suspend$
"""
RESUME = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_resume() RETURNS SETOF text LANGUAGE plpgsql {PINNED}
AS $resume$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM @.outbox_projections_saved() LOOP
        IF (each.saved -> 'own')::bool THEN
            PERFORM @.outbox_projections_own((each.saved -> 'place')::int, true);
        ELSE
            PERFORM @.outbox_projections_make(each.saved, each.below);
        END IF;
    END LOOP;
    FOR each IN SELECT * FROM @.outbox_projections_settle() s (said) LOOP
        RAISE NOTICE '%', each.said;
        RETURN NEXT each.said;
    END LOOP;
END
$resume$
"""
# The type that a key's column has now, where its values have the text that they had.
TYPE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_type(was text, relation jsonb, name text) RETURNS text
LANGUAGE sql STABLE {PINNED} AS $sql$
SELECT coalesce((SELECT format('pg_catalog.%s', t.typname)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(format('%I.%I', relation ->> 'schema', relation ->> 'name'))
        AND a.attname = name AND NOT a.attisdropped
        AND (was IN ('pg_catalog.int2', 'pg_catalog.int4', 'pg_catalog.int8')
                AND t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
            OR was IN ('pg_catalog.varchar', 'pg_catalog.text')
                AND t.oid IN ('text'::regtype, 'varchar'::regtype))), was)
$sql$
"""
# The definition with the types of today.
TYPED = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_typed(definition jsonb) RETURNS jsonb
LANGUAGE sql STABLE {PINNED} AS $sql$
SELECT definition || jsonb_build_object(
    'key', (SELECT jsonb_agg(k || jsonb_build_object('type', CASE WHEN r.now = d.now THEN d.now ELSE t END)
            ORDER BY place)
        FROM jsonb_array_elements(definition -> 'key') WITH ORDINALITY e (k, place),
            LATERAL (SELECT k ->> 'type', k ->> 'name', coalesce(nullif(k ->> 'of', ''), k ->> 'name')
            ) c (t, n, own),
            LATERAL @.outbox_projections_type(t, definition -> 'root', own) r (now),
            LATERAL @.outbox_projections_type(t, definition -> 'document', n) d (now)),
    'follow', (SELECT coalesce(jsonb_agg(f || jsonb_build_object('types', (
            SELECT coalesce(jsonb_agg(@.outbox_projections_type(t, f -> 'table',
                (CASE f -> 'key' WHEN '[]' THEN f -> 'parameters' ELSE f -> 'key' END) ->> (n - 1)::int)
                ORDER BY n), '[]')
            FROM jsonb_array_elements_text(f -> 'types') WITH ORDINALITY e (t, n))) ORDER BY place), '[]')
        FROM jsonb_array_elements(definition -> 'follow') WITH ORDINALITY e (f, place)))
$sql$
"""
# The key's columns whose type is another one than the definition has: nothing can be read by it.
RETYPED = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_retyped(definition jsonb) RETURNS text
LANGUAGE sql STABLE {PINNED} AS $sql$
WITH RECURSIVE leaf (name, type) AS (
    SELECT attname, atttypid FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
        AND attrelid = to_regclass(format('%I.%I', definition #>> '{{document,schema}}',
            definition #>> '{{document,name}}'))
    UNION ALL SELECT l.name, t.typbasetype FROM leaf l JOIN pg_type t ON t.oid = l.type AND t.typtype = 'd'
)
SELECT string_agg(format('%I is %s', l.name, l.type::regtype), ' and ' ORDER BY l.name)
FROM leaf l JOIN pg_type t ON t.oid = l.type AND t.typtype <> 'd'
JOIN pg_namespace n ON n.oid = t.typnamespace JOIN jsonb_array_elements(definition -> 'key') k
    ON k ->> 'name' = l.name AND k ->> 'type' NOT IN (format('%I.%I', n.nspname, t.typname),
        concat(n.nspname, '.', t.typname))
$sql$
"""
# Columns that the definition names and that are not there.
MISSING = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_missing(
    definition jsonb, OUT relation text, OUT name text, OUT of_document bool
) RETURNS SETOF record LANGUAGE sql STABLE {PINNED} AS $sql$
SELECT DISTINCT r.name, n, e.of_document FROM (
    SELECT definition -> 'document' AS named, jsonb_path_query_array(definition, '$.key[*].name')
        || coalesce(definition -> 'routing', '[]') || coalesce(definition -> 'version', '[]')
        || jsonb_path_query_array(definition, '$.id.name') AS columns, true AS of_document
    UNION ALL SELECT definition -> 'root', coalesce(definition -> 'columns', '[]')
        || (SELECT jsonb_agg(coalesce(nullif(k -> 'of', '""'), k -> 'name'))
            FROM jsonb_array_elements(definition -> 'key') k), false
    UNION ALL SELECT f -> 'table',
        coalesce(f -> 'key', '[]') || coalesce(f -> 'parameters', '[]') || coalesce(f -> 'columns', '[]'),
        false
    FROM jsonb_array_elements(definition -> 'follow') f
) e, LATERAL format('%I.%I', e.named ->> 'schema', e.named ->> 'name') r (name),
    jsonb_array_elements_text(e.columns) n
WHERE n <> '' AND NOT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = to_regclass(r.name) AND attname = n AND NOT attisdropped)
$sql$
"""
SETTLE = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_settle() RETURNS SETOF text LANGUAGE plpgsql {DEFINER}
AS $settle$
DECLARE
    each record;
    fault record;
    typed jsonb;
BEGIN
    FOR fault IN SELECT s.saved ->> 'view' AS view, s.saved ->> 'owner' AS owner,
                pg_get_userbyid(c.relowner) AS now
            FROM @.outbox_projections_saved() s
            LEFT JOIN pg_class c ON c.oid = to_regclass(s.saved ->> 'view')
            WHERE pg_get_userbyid(c.relowner) IS DISTINCT FROM (s.saved ->> 'owner')::name LOOP
        IF fault.now IS NULL THEN
            RAISE object_not_in_prerequisite_state USING HINT = 'call outbox_projections_resume()',
                MESSAGE = format('the view %s of the role %s was not made again', fault.view, fault.owner);
        END IF;
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the view %s is there, but belongs to %s, not to %s', fault.view, fault.now,
                fault.owner),
            HINT = format('ALTER VIEW %s OWNER TO %I before outbox_projections_resume', fault.view,
                fault.owner);
    END LOOP;
    FOR each IN SELECT * FROM @.outbox_projections WHERE suspended IS NOT NULL ORDER BY name LOOP
        FOR fault IN SELECT * FROM @.outbox_projections_missing(each.definition) m WHERE m.of_document LOOP
            RAISE undefined_column USING HINT = {ANEW.format(view="fault.relation")},
                MESSAGE = format('the projection %s needs the column %I of %s, which is not there any more',
                    each.name, fault.name, fault.relation);
        END LOOP;
        typed := @.outbox_projections_typed(each.definition);
        IF typed <> each.definition THEN
            UPDATE @.outbox_projections SET definition = typed, applied_at = now() WHERE name = each.name;
            RETURN NEXT format('%s: the new types of its key, or of columns that it follows, were taken over',
                each.name);
        END IF;
        IF @.outbox_projections_retyped(typed) IS NOT NULL THEN
            RETURN NEXT format('%s: of its key %s now, and nothing is read until you run'
                ' outboxctl projection apply FILE', each.name, @.outbox_projections_retyped(typed));
        -- A worker that waited for a lock of this transaction reads a view made anew in a snapshot of before
        -- it: what the migration has written is not there. Its event comes after, and reads all again.
        ELSIF to_jsonb(@.outbox_projections_shape(each.definition)) IS DISTINCT FROM each.suspended -> 'shape'
                OR EXISTS (SELECT FROM jsonb_each_text(each.suspended -> 'files') f
                    JOIN pg_class c ON c.oid = f.key::oid
                    WHERE @.outbox_projections_file(c.oid) <> f.value)
                OR EXISTS (SELECT FROM @.outbox_projections_saved() s
                    WHERE each.name = ANY (string_to_array(s.saved ->> 'projections', ', '))
                        AND @.outbox_projections_file(to_regclass(s.saved ->> 'view')) <> s.saved ->> 'query')
        THEN
            INSERT INTO @.search_outbox_events (entity_type, entity_id, op, entity_key, follow,
                next_retry_at, status, attempts, replay_count, created_at, updated_at)
            VALUES (each.name, md5(each.name || '/{EVERYTHING}:')::uuid, 'upsert', '', {EVERYTHING},
                'infinity', 'pending', 0, 0, now(), now());
            RETURN NEXT format('%s: every document is read again; outboxctl projection plan FILE says whether'
                ' its index needs a rebuild', each.name);
        END IF;
        FOR fault IN SELECT DISTINCT m.relation FROM @.outbox_projections_missing(each.definition) m
                WHERE NOT m.of_document AND to_regclass(m.relation) IS NULL LOOP
            RETURN NEXT format('%s: %s is gone: run outboxctl projection apply FILE', each.name,
                fault.relation);
        END LOOP;
        FOR fault IN SELECT * FROM @.outbox_projections_missing(each.definition) m
                WHERE NOT m.of_document AND to_regclass(m.relation) IS NOT NULL LOOP
            RETURN NEXT format('%s: %s has no column %I any more, and until outboxctl projection apply FILE'
                ' each change of it has all documents read again', each.name, fault.relation, fault.name);
        END LOOP;
    END LOOP;
    UPDATE @.outbox_projections SET suspended = NULL WHERE suspended IS NOT NULL;
END
$settle$
"""
RESUMED = f"""
CREATE OR REPLACE FUNCTION @.outbox_projections_resumed() RETURNS trigger LANGUAGE plpgsql {DEFINER}
AS $resumed$
BEGIN
    IF EXISTS (SELECT FROM @.outbox_projections WHERE name = NEW.name AND suspended IS NOT NULL) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the views of the projection %s are put aside still', NEW.name),
            HINT = 'SELECT outbox_projections_resume() comes before COMMIT. After SET CONSTRAINTS ALL'
                ' IMMEDIATE it would be too late at once: SET CONSTRAINTS ALL DEFERRED before'
                ' outbox_projections_suspend';
    END IF;
    RETURN NULL;
END
$resumed$
"""
CHECKED = """
DROP TRIGGER IF EXISTS outbox_projections_resumed ON @.outbox_projections;
CREATE CONSTRAINT TRIGGER outbox_projections_resumed AFTER UPDATE ON @.outbox_projections
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.suspended IS NOT NULL)
EXECUTE FUNCTION @.outbox_projections_resumed()
"""
# Functions that change what the outbox's owner has are that role's, also where a superuser migrates.
OWNED = """
DO $owned$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT p.oid::regprocedure AS name, c.relowner::regrole AS owner
            FROM pg_class c JOIN pg_proc p ON p.pronamespace = c.relnamespace
                AND p.proname ~ '^outbox_projections_'
            WHERE c.oid = 'outbox_projections'::regclass AND p.proowner <> c.relowner LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', each.name, each.owner);
    END LOOP;
END
$owned$
"""
ALL = (
    *(READING, SHAPE, FILE, FUNCTIONS, TRUSTED, VIEW, SAVED, SAVE, DROP, MAKE, OWN, SUSPEND, RESUME),
    *(TYPE, TYPED, RETYPED, MISSING, SETTLE, RESUMED, CHECKED),
)
# In the schema of the outbox, whichever is searched; each function names its tables by it.
EACH = """
DO $outbox$
BEGIN
    EXECUTE replace({text}, '@.', (SELECT relnamespace::regnamespace || '.' FROM pg_class
        WHERE oid = 'outbox_projections'::regclass));
END
$outbox$
"""


def upgrade() -> None:
    for text in ALL:
        op.execute(EACH.format(text=f"$text${text}$text$"))
    op.execute(OWNED)
