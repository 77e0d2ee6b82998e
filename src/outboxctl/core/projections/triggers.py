"""The triggers of some tables as SQL: what makes them, what drops them, and how those that are there differ.

They write events of what is changed. A table has one set of triggers and one function for all projections:
what is made or dropped for one of them has the others' events in it as before.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.projections import trigger_places
from outboxctl.core.projections.trigger_functions import FILLED, settings, template
from outboxctl.core.projections.trigger_names import WatchedTable, function_name
from outboxctl.core.schema.names import EVENTS, tag
from outboxctl.domain.projection import Relation

# Whoever owns a function may replace its body, and it runs within every write of the application: it belongs
# to the owner of the outbox, who may insert events. One of another role is refused: that role may have given
# others the right to make triggers by it.
# Who makes a partition gives it the table's trigger of rows: that takes the right to call its function.
# A trigger that is as it should be is left alone: it takes a lock that writers wait for. Where a function
# changes, one trigger of each table is made again for that very lock: a transaction that has written by the
# old function has ended before the documents are read. A table is locked before its partitions.
# To drop a trigger takes its table's owner; with its function, which is ours, whoever made it drops it.
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
    FOR each IN SELECT p.oid::regprocedure AS function, r.rolname AS owner, r.rolsuper,
                pg_get_userbyid(c.relowner) AS our_owner
            FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner, pg_class c
            WHERE p.oid IN ({names}) AND c.oid = outbox AND p.proowner <> c.relowner LOOP
        IF NOT each.rolsuper AND each.owner <> current_user THEN
            RAISE EXCEPTION 'the function % belongs to the role %', each.function, each.owner
                USING HINT = 'if you trust that role: ALTER FUNCTION … OWNER TO …; otherwise drop it';
        END IF;
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', each.function, each.our_owner);
    END LOOP;
    FOR each IN {differing}
                OR w.kind = 'TRIGGER' AND w.events ~ '^INSERT'
                AND to_regprocedure(w.function) = ANY (changed)
            ORDER BY w.name IS NOT NULL, w.depth, w.name LOOP
        IF each.name IS NULL THEN
            IF EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                    WHERE c.oid = each.place AND t.tgname = each.tgname
                        AND (t.tgfoid IN ({names}) OR pg_has_role(c.relowner, 'USAGE'))) THEN
                EXECUTE format('DROP TRIGGER %I ON %s', each.tgname, each.place);
            END IF;
        ELSIF each.tgname IS NULL THEN
            EXECUTE format('CREATE %s %I AFTER %s ON %s %s EXECUTE FUNCTION %s', each.kind, each.name,
                each.events, each.watched, each.clauses, each.function);
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
        EXECUTE format('DROP FUNCTION %s CASCADE', each.function);
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
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
            WHERE {ours} AND t.tgparentid = 0 AND pg_has_role(c.relowner, 'USAGE') LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', each.tgname, each.place);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS function FROM pg_proc p WHERE {ours} LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', each.function);
    END LOOP;
    PERFORM set_config('search_path', searched, true);
END
{outer};
"""
# Functions `p` that are made here.
OURS = "p.pronamespace = {schema}::regnamespace AND p.proname IN ({functions})"


class TriggerFunction(NamedTuple):
    """The function of a table's triggers for each row, or for statements; `call`: its qualified name."""

    table: WatchedTable
    by_row: bool
    name: str
    call: str


@dataclass(frozen=True)
class Triggers:
    """The triggers of these tables, and no others; a table that nobody uses any more is left without.

    `schema` is the outbox's. `partitioned`: tables that need triggers for each row (`catalog.row_level`).
    Tables are named by their `oids` where these are given: who may not use a schema finds none by its name.
    """

    tables: Sequence[WatchedTable]
    schema: str
    partitioned: Collection[Relation]
    oids: Mapping[Relation, int] = field(default_factory=dict)

    def sql(self, projection: str) -> str:
        """Plain SQL, one statement, that leaves exactly these triggers, for a projection's declaration."""
        text, columns = DROP, self._columns(projection)
        parts = {"ours": self.condition}
        if any(each.users for each in self.tables):
            text = CREATE
            calls = (SQL("{}::regprocedure").format(Literal(each.call)) for each in self.functions)
            parts |= {
                "events": Literal(self.events),
                "columns": columns,
                "functions": self.functions_sql,
                "names": SQL(", ").join(calls),
                "differing": self.differing(self.condition),
                "copies": SQL(trigger_places.COPIES).format(wanted=self.wanted),
            }
        outer = tag("outbox", "".join(each.as_string() for each in parts.values()))
        return SQL(text).format(outer=SQL(outer), **parts).as_string()

    @property
    def events(self) -> str:
        """The qualified name of the outbox."""
        return Identifier(self.schema, EVENTS).as_string()

    @cached_property
    def functions(self) -> list[TriggerFunction]:
        """The functions of the tables that are used."""
        used = [each for each in self.tables if each.users]
        return [
            self._function(each, by_row=by_row)
            for each in used
            for by_row in ((False, True) if each.table in self.partitioned else (False,))
        ]

    def _function(self, table: WatchedTable, *, by_row: bool) -> TriggerFunction:
        name = function_name(self.schema, table.table, rows=by_row)
        return TriggerFunction(table, by_row, name, f"{Identifier(self.schema, name).as_string()}()")

    @cached_property
    def condition(self) -> Composable:
        """Whether a function `p` is one of these tables."""
        names = [self._function(each, by_row=rows).name for each in self.tables for rows in (False, True)]
        return SQL(OURS).format(
            schema=Literal(Identifier(self.schema).as_string()),
            functions=SQL(", ").join(map(Literal, names or [""])),
        )

    @cached_property
    def wanted(self) -> Composable:
        """A row for each trigger (`trigger_places.WANTED`)."""
        rows = [
            SQL("({}::regclass, {}, {}, {}, {})").format(
                self._regclass(each.table.table),
                Literal(each.name),
                Literal(each.call),
                Literal(self._function(each.table, by_row=True).call),
                Literal(each.table.table in self.partitioned),
            )
            for each in self.functions
            if not each.by_row
        ]
        return SQL(trigger_places.WANTED).format(tables=SQL(",\n        ").join(rows))

    def differing(self, ours: Composable) -> Composable:
        """Triggers that differ; `ours` is the condition of the functions `p` whose triggers are looked at."""
        return SQL(trigger_places.DIFFERING).format(wanted=self.wanted, ours=ours)

    @cached_property
    def functions_sql(self) -> Composable:
        """The query FILLED for the functions."""
        functions, parts = [], []
        for each in self.functions:
            one = each.table
            functions.append(
                SQL("({}, {}::regclass, {}, {}, {})").format(
                    Literal(each.call),
                    self._regclass(one.table),
                    Literal("ROW" if each.by_row else "STATEMENT"),
                    Literal(" ".join(f"SET {name} = {value}" for name, value in settings(one.users).items())),
                    Literal(template(one, self.schema, rows=each.by_row)),
                )
            )
            columns = [(one.names, one.key_names), *((user.names, user.key_names) for user in one.users)]
            parts += [
                SQL("({}, {}, {}::text[], {}::text[])").format(
                    Literal(each.call), Literal(part), *(Literal([*names]) for names in both)
                )
                for part, both in enumerate(columns)
            ]
        return SQL(FILLED).format(
            functions=SQL(",\n    ").join(functions), parts=SQL(",\n        ").join(parts)
        )

    def _columns(self, projection: str) -> Composable:
        """The columns that a projection's triggers read, as rows of table and name."""
        users = (each for one in self.tables for each in one.users if each.projection == projection)
        read = dict.fromkeys((each.of.table, name) for each in users for name in each.all_names)
        rows = [
            SQL("({}::regclass, {})").format(self._regclass(table), Literal(name)) for table, name in read
        ]
        none = SQL("SELECT NULL::regclass, NULL::text WHERE false")
        return SQL("VALUES {}").format(SQL(", ").join(rows)) if rows else none

    def _regclass(self, table: Relation) -> Composable:
        return Literal(self.oids.get(table) or Identifier(table.schema, table.name).as_string())
