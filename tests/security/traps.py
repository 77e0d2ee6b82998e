"""Operators and functions of an attacker who may create objects in `public`: who runs one is robbed.

For inexact types only: where `pg_catalog` has an exact one, that is taken in any case.
"""

import re
from pathlib import Path

import psycopg

import outboxctl

TYPES = '{text,varchar,name,uuid,int4,int8,float8,numeric,oid,bool,timestamptz,interval,"char"}'
PAIRS = "{text,varchar,uuid,int4,int8,float8,oid,name,timestamptz,regclass}"
SOURCES = Path(outboxctl.__file__).parent / "core"
LAY = r"""
CREATE TABLE public.loot (who text, what text);
GRANT INSERT ON public.loot TO PUBLIC;
DO $lay$
DECLARE
    made record;
    body text := $body$BEGIN INSERT INTO public.loot VALUES (current_user, %%L); RETURN NULL; END$body$;
BEGIN
    FOR made IN
        SELECT o AS op, l.oid::regtype AS l, r.oid::regtype AS r, n, CASE WHEN o = '||' THEN 'text'
            WHEN o IN ('+', '-', '*', '/') THEN l.oid::regtype::text ELSE 'boolean' END AS result
        FROM unnest('{||,=,<>,<,>,<=,>=,+,-,*,/,~,!~,~~}'::text[]) WITH ORDINALITY o (o, n),
            unnest(%(types)s::regtype[]) lt, unnest(%(types)s::regtype[]) rt,
            pg_type l, pg_type r
        WHERE l.oid = lt AND r.oid = rt AND NOT EXISTS (SELECT FROM pg_operator p
            WHERE p.oprname = o AND p.oprleft = lt AND p.oprright = rt)
    LOOP
        EXECUTE format('CREATE FUNCTION public.trap%%s(%%s, %%s) RETURNS %%s LANGUAGE plpgsql AS %%L',
            made.n, made.l, made.r, made.result, format(body, concat(made.l, made.op, made.r)));
        EXECUTE format(
            'CREATE OPERATOR public.%%s (FUNCTION = public.trap%%s, LEFTARG = %%s, RIGHTARG = %%s)',
            made.op, made.n, made.l, made.r);
    END LOOP;
    FOR made IN
        SELECT f, concat(a.t, ', ' || b.t) AS args,
            (SELECT format_type(prorettype, NULL) FROM pg_proc WHERE proname = f
                AND pronamespace = 'pg_catalog'::regnamespace LIMIT 1) AS result
        FROM unnest(%(names)s::text[]) f, unnest(%(types)s::text[]) a (t),
            unnest(%(pairs)s::text[] || NULL) b (t)
        WHERE (b.t IS NULL OR a.t = ANY (%(pairs)s::text[]))
            AND EXISTS (SELECT FROM pg_proc WHERE proname = f AND pronamespace = 'pg_catalog'::regnamespace
                AND pronargs = CASE WHEN b.t IS NULL THEN 1 ELSE 2 END AND prokind = 'f' AND NOT proretset
                AND prorettype NOT IN (SELECT oid FROM pg_type WHERE typtype = 'p'))
            AND to_regprocedure(format('pg_catalog.%%I(%%s)', f, concat(a.t, ', ' || b.t))) IS NULL
    LOOP
        EXECUTE format('CREATE FUNCTION public.%%I(%%s) RETURNS %%s LANGUAGE plpgsql AS %%L',
            made.f, made.args, made.result, format(body, concat(made.f, '(', made.args, ')')));
    END LOOP;
END
$lay$;
"""


def called() -> list[str]:
    """The names of everything that our statements may call."""
    texts = [path.read_text() for path in SOURCES.rglob("*.py")]
    return sorted({name for each in texts for name in re.findall(r"\b([a-z][a-z0-9_]+)\s?\(", each)})


def lay(url: str, attacker: str) -> None:
    """Create them all as the role `attacker`, who may create objects in `public`, and no more."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        connection.execute(f"SET ROLE {attacker}".encode())
        given = {"types": TYPES, "pairs": PAIRS, "names": called()}
        psycopg.ClientCursor(connection).execute(LAY, given)
