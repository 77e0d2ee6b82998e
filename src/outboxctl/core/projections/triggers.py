"""SQL that makes and drops the triggers of a projection's tables, which write events of what is changed.

A table has one set of triggers and one function for all projections: what is made or dropped for one of them
has the others' events in it as before.
"""

from collections.abc import Collection, Mapping, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.projections import trigger_columns, trigger_places
from outboxctl.core.projections.trigger_functions import RIGHTS, settings, template
from outboxctl.core.projections.trigger_names import WatchedTable, function_name, tag
from outboxctl.core.projections.trigger_places import function_call, regclass
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.projection import Relation

# Whoever owns a function may replace its body, and it runs within every write of the application. One that
# was there keeps its owner. A superuser's are given to the owner of the outbox: they need no more rights.
# Who makes a partition gives it the table's trigger of rows: that takes the right to call its function.
# A trigger that is as it should be is left alone: it takes a lock that writers wait for. Where a function
# changes, one trigger of each table is made again for that very lock: a transaction that has written by the
# old function has ended before the documents are read. A table is locked before its partitions.
CREATE = """\
DO {outer}
DECLARE
    searched text := pg_catalog.current_setting('search_path');
    outbox regclass;
    changed regprocedure[] := '{{}}';
    each record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    outbox := to_regclass({events});
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = outbox AND NOT attisdropped
            AND (attname = 'entity_key' OR attname = 'id' AND atthasdef)) < 2 THEN
        RAISE EXCEPTION 'the outbox % is not there, or not of this version', {events}
            USING HINT = 'run: outboxctl db upgrade';
    END IF;
    FOR each IN SELECT w.* FROM ({columns}) w (watched, name)
            WHERE NOT EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = w.watched AND attname = w.name AND NOT attisdropped
                    AND attgenerated <> 'v') LOOP
        RAISE EXCEPTION 'the table % has no column % that a trigger can read', each.watched,
            quote_ident(each.name);
    END LOOP;
    FOR each IN {functions} LOOP
        changed := changed || ARRAY(SELECT p.oid::regprocedure FROM pg_proc p
            WHERE p.oid = to_regprocedure(each.function) AND p.prosrc <> each.body);
        EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER %s'
            ' AS %L', each.function, each.settings, each.body);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', each.function);
        EXECUTE coalesce((SELECT string_agg(format('GRANT EXECUTE ON FUNCTION %s TO %I', each.function,
                pg_get_userbyid(relowner)), '; ')
            FROM pg_class WHERE each.level = 'ROW' AND relkind = 'p'
                AND oid IN (SELECT relid FROM pg_partition_tree(each.watched))), '');
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS function, r.rolname AS owner, r.rolsuper, o.rolname AS our_owner
            FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner,
                pg_class c JOIN pg_roles o ON o.oid = c.relowner
            WHERE p.oid IN ({names}) AND c.oid = outbox LOOP
        IF NOT each.rolsuper AND each.owner NOT IN (current_user, each.our_owner) THEN
            RAISE EXCEPTION 'the function % belongs to the role %', each.function, each.owner
                USING HINT = 'if you trust that role: ALTER FUNCTION … OWNER TO …; otherwise drop it';
        ELSIF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('ALTER FUNCTION %s OWNER TO %I', each.function, each.our_owner);
        END IF;
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS function, pg_get_userbyid(p.proowner) AS owner FROM pg_proc p
            WHERE p.oid IN ({names}) AND NOT (has_schema_privilege(p.proowner, p.pronamespace, 'USAGE')
                AND {rights}) LOOP
        RAISE EXCEPTION 'the role % of the function % may not insert events', each.owner, each.function
            USING HINT = 'run this as the owner of the outbox';
    END LOOP;
    FOR each IN {differing}
                OR w.kind = 'TRIGGER' AND w.events ~ '^INSERT'
                AND to_regprocedure(w.function) = ANY (changed)
            ORDER BY w.name IS NOT NULL, w.depth, w.name LOOP
        IF each.name IS NULL THEN
            EXECUTE format('DROP TRIGGER %I ON %s', each.tgname, each.place);
        ELSIF each.tgname IS NULL THEN
            EXECUTE format('CREATE %s %I AFTER %s ON %s %s EXECUTE FUNCTION %s', each.kind, each.name,
                each.events, each.watched, each.clauses, each.function);
        ELSIF current_setting('server_version_num')::int < 140000 THEN
            EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', each.watched);
        ELSE
            EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s EXECUTE FUNCTION %s', each.name,
                each.events, each.watched, each.clauses, each.function);
        END IF;
    END LOOP;
    FOR each IN SELECT * FROM ({copies}) c WHERE may OR NOT setwise LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', each.watched,
            CASE WHEN each.setwise THEN 'DISABLE' ELSE 'ENABLE' END, each.name);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS function FROM pg_proc p
            WHERE {ours} AND p.oid NOT IN ({names}) LOOP
        EXECUTE format('DROP FUNCTION %s', each.function);
    END LOOP;
    PERFORM set_config('search_path', searched, true);
END
{outer};
"""
DROP = """\
DO {outer}
DECLARE
    searched text := pg_catalog.current_setting('search_path');
    each record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR each IN SELECT t.tgname, t.tgrelid::regclass AS place
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE {ours} AND t.tgparentid = 0 LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', each.tgname, each.place);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS function FROM pg_proc p WHERE {ours} LOOP
        EXECUTE format('DROP FUNCTION %s', each.function);
    END LOOP;
    PERFORM set_config('search_path', searched, true);
END
{outer};
"""
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
# Functions `p` that are made here.
OURS = "p.pronamespace = {schema}::regnamespace AND p.proname IN ({functions})"


def sql(
    projection: str, tables: Sequence[WatchedTable], events_schema: str, partitioned: Collection[Relation]
) -> str:
    """Plain SQL, one statement, that leaves exactly these triggers on the tables of a projection.

    A table that nobody uses any more is left without. `partitioned`: tables that need triggers for each row
    (`catalog.row_level`).
    """
    used = [each for each in tables if each.users]
    ours = function_condition([each.table for each in tables], events_schema)
    if not used:
        return SQL(DROP).format(outer=SQL(tag("outbox", ours.as_string())), ours=ours).as_string()
    functions = functions_sql(used, events_schema, partitioned)
    names = [Literal(call) for call, _, _ in _functions(used, events_schema, partitioned)]
    wanted = trigger_places.wanted([each.table for each in used], events_schema, partitioned)
    columns = _columns(projection, used)
    statement = SQL(CREATE).format(
        outer=SQL(tag("outbox", functions.as_string() + ours.as_string() + columns.as_string())),
        events=Literal(events_table(events_schema)),
        columns=columns,
        functions=functions,
        names=SQL(", ").join(SQL("{}::regprocedure").format(name) for name in names),
        ours=ours,
        rights=SQL(RIGHTS),
        differing=SQL(DIFFERING).format(wanted=wanted, ours=ours),
        copies=trigger_places.copies(wanted),
    )
    return statement.as_string()


def function_condition(tables: Sequence[Relation], schema: str) -> Composable:
    """Whether a function `p` is one of these tables."""
    names = [function_name(schema, table, rows=rows) for table in tables for rows in (False, True)]
    return SQL(OURS).format(
        schema=Literal(Identifier(schema).as_string()),
        functions=SQL(", ").join(map(Literal, names or [""])),
    )


def _columns(projection: str, tables: Sequence[WatchedTable]) -> Composable:
    """The columns that a projection's triggers read, as rows of table and name."""
    rows = [
        SQL("({}::regclass, {})").format(regclass(one.table), Literal(name))
        for one in tables
        for name in dict.fromkeys(
            name for each in one.users if each.projection == projection for name in each.all_names
        )
    ]
    none = SQL("SELECT NULL::regclass, NULL::text WHERE false")
    return SQL("VALUES {}").format(SQL(", ").join(rows)) if rows else none


def functions_sql(
    tables: Sequence[WatchedTable],
    events_schema: str,
    partitioned: Collection[Relation],
    oids: Mapping[Relation, int] | None = None,
) -> Composable:
    """The query of `trigger_columns` for the functions of these tables.

    With `oids` by these: who may not use a schema finds no table there by its name.
    """
    functions, parts = [], []
    for call, one, rows in _functions(tables, events_schema, partitioned):
        functions.append(
            SQL("({}, {}::regclass, {}, {}, {})").format(
                Literal(call),
                regclass(one.table, oids),
                Literal("ROW" if rows else "STATEMENT"),
                Literal(" ".join(f"SET {name} = {value}" for name, value in settings(one.users).items())),
                Literal(template(one, events_schema, rows=rows)),
            )
        )
        columns = [(one.names, one.key_names), *((each.names, each.key_names) for each in one.users)]
        parts += [
            SQL("({}, {}, {}::text[], {}::text[])").format(
                Literal(call), Literal(part), *(Literal([*names]) for names in each)
            )
            for part, each in enumerate(columns)
        ]
    return trigger_columns.filled(functions, parts)


def _functions(
    tables: Sequence[WatchedTable], schema: str, partitioned: Collection[Relation]
) -> list[tuple[str, WatchedTable, bool]]:
    """The functions by their names, each with its table, and whether it is called for each row."""
    return [
        (function_call(schema, one.table, rows=rows), one, rows)
        for one in tables
        for rows in ((False, True) if one.table in partitioned else (False,))
    ]


def events_table(schema: str) -> str:
    """The qualified name of the outbox."""
    return Identifier(schema, EVENTS).as_string()
