"""The function of a table's triggers: one INSERT of the events of all projections that use the table.

It runs within the application's writes, with the rights of its owner. So nothing that somebody does to the
table later makes it fail, or run code of his: see `trigger_keys`; and a column that is renamed or gone makes
an event of all documents, of the projections that use it.

What a projection has of the text is a share of it. The columns of a share are put in where the function is
made (`trigger_columns`); share 0 has those of all projections.
"""

from collections.abc import Mapping, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.projections import event_ids, trigger_bulk
from outboxctl.core.projections.trigger_columns import fields
from outboxctl.core.projections.trigger_keys import arrays, sides
from outboxctl.core.projections.trigger_names import NEW, OLD, Watched, WatchedTable
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING

INSERTED = ("entity_key", "follow", "next_retry_at", *COLUMNS.split(", "))
ID_COLUMN = "id"
TABLES = {"old": OLD, "new": NEW}
# Of the owner of a function `p` on the `outbox`. A trigger there lets only those who may UPDATE the status
# insert an event that waits for something.
RIGHTS = f"""(SELECT bool_and(has_column_privilege(p.proowner, outbox, c, 'INSERT'))
            FROM unnest(ARRAY['{"', '".join((ID_COLUMN, *INSERTED))}']) c)
        AND has_column_privilege(p.proowner, outbox, 'status', 'UPDATE')
        AND has_column_privilege(p.proowner, outbox, 'created_at', 'UPDATE')"""
# The start of a query costs as much as the rest of a statement of one row. So that has queries of its own,
# and one of no row (of the two triggers of ON CONFLICT DO UPDATE one has none) ends here.
# A variable has its block's name where a column of the table may have its own.
BODY = """
-- projections: {projections}
<<outboxctl>>
DECLARE
    gone boolean;
    number int;{declared}
    moment bigint;
    id_time text;
    id_number bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
{update}
    ELSIF TG_OP = 'INSERT' THEN
{insert}
    ELSIF TG_OP = 'DELETE' THEN
{delete}
    ELSE
        {all}
    END IF;
    RETURN NULL;
END
"""
CHANGE = f"""\
        SELECT count(*) INTO number FROM (SELECT FROM {{table}} LIMIT {{counted}}) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce({{as_before}}, false);
        IF gone THEN
            {{gone}}
        END IF;{{more}}
        IF gone THEN
{{alone}}
            RETURN NULL;
        END IF;{{pair}}
{event_ids.DRAW}
        IF number = 1 THEN
{{one}}{{bulk}}
        ELSE
{{many}}
        END IF;"""
IN_BULK = """
        ELSIF number = {bulk} THEN
{written}"""
# The numbers of a share whose keys may be long.
NUMBERED = "SELECT ({share}::bigint << 40) + row_number() OVER (), c.* FROM ({rows}) c"
# Columns have their numbers in the table that was declared. Where all are as before, that is seen without a
# query. TG_RELID as a subquery: so PostgreSQL keeps a plan, whichever the table. With the value in sight it
# may make a new one for each statement. A table that was restored from a dump has another oid, and numbers of
# its own.
GONE = """\
SELECT count(*) < {number} INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ({names})
                AND (attrelid <> {oid} OR (attname, attnum) IN ({pairs}));"""
# A partition has numbers of its own as well. To look at the declared table's for each row would be a third of
# the trigger's cost, so only where a column was added since (NULL: there is none of this number). Names that
# two columns have exchanged are found by `plan` alone.
GONE_FOR_ROW = """\
SELECT count(*) < {number} INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ({names});
            IF has_column_privilege({oid}::oid, {next}::int2, 'SELECT') IS NOT NULL THEN
                gone := gone OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = {oid}
                    AND attname IN ({names}) AND (attname, attnum) NOT IN ({pairs}));
            END IF;"""
# Where every column counts: whether there are others than those that were there when the function was made.
MORE = """
        SELECT count(*) <> {number} INTO more FROM pg_attribute
        WHERE attrelid = (SELECT TG_RELID) AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v';"""
ALL = """\
INSERT INTO {events} ({columns}) VALUES
            {rows};"""
ALL_OF_ONE = """\
('', {everything}, 'infinity', {projection}, md5({projection} || '/{everything}:')::uuid, 'upsert', NULL,
                'pending', 0, 0, now(), now())"""
# A column of some projections is not there any more, or is another one of that name: nobody knows which of
# their documents the change reaches. The others' events are written as before, projection by projection.
ALONE = """\
            {gone}
            IF gone THEN
            {all}
            ELSE
{written}
            END IF;"""
# A changed row whose parameters are too large for an event stands for all documents.
WRITE = """\
            {changed}INSERT INTO {events} ({id_column}{columns})
            SELECT {id}entity_key, CASE WHEN {whole} THEN {everything} ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN {whole} THEN entity_type || '/{everything}:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM {rows};"""
WHOLE = "entity_key = '' AND follow IS NOT NULL"
# Ids are numbered. Those of the column's default are a third of the cost: for what is done row by row.
ID = "(id_time || to_hex(id_number + {number}))::uuid, "
# What the events of a share have in common: follow, next_retry_at, entity_type, and what the key comes after
# in the text that entity_id is made of. No lane claims one with `follow`.
SHARE = "SELECT entity_key, {common} FROM ({changes}) c (entity_key)"
COMMON = "entity_key, follow, next_retry_at, entity_type, prefix"
ONE_SIDE = "SELECT {distinct}{key} FROM {table} {row} WHERE {known}"
# The keys of one row, of all shares: each a row of VALUES.
OF_ONE = """\
SELECT v.* FROM {table} {row} CROSS JOIN LATERAL (
                VALUES {keys}) v (place, {names}) WHERE v.entity_key IS NOT NULL"""
# The rows before and after, by their places: PostgreSQL writes both at a time. Whatever the order: where no
# pair differs these are the same rows, and what differs is in a pair that differs. Columns go through the
# join as they are stored: a large value that no pair needs is not read.
CHANGED = """\
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, {old_columns} FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, {new_columns} FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR {differ}
            )
            """
# A row has the document of its old key besides, where that is another one.
OF_CHANGED = """\
SELECT {new_key}
                FROM (SELECT {new_named} FROM changed c WHERE after IS NOT NULL{of_share}) n
                WHERE {new_known}
                UNION{duplicates} SELECT {old_key}
                FROM (SELECT {old_named} FROM changed c WHERE before IS NOT NULL{of_share}
                    AND (after IS NULL OR {key_differs})) o
                WHERE {old_known}"""
# The keys of one row that changed. The start of a query looks up each function in it, whether it comes to
# that or not: so what large values need is a query of its own. A BEFORE trigger can keep a row from the
# partition that it moves to: then there is none after.
PAIR = """
        IF number = 1 THEN
            SELECT {values}
                INTO {variables}
            FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT {paired}) c
            LIMIT 1;
            IF NOT FOUND THEN
                number := 2;
            ELSE
{unsure}
                IF coalesce({keys}) IS NULL THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;"""
PAIRED = """\
CASE WHEN ({differ_unless_large}) IS NOT FALSE AND {new_known} THEN {new_key} END,
                CASE WHEN ({key_differs}) AND {old_known} THEN {old_key} END,
                ({differ_unless_large}) IS NULL"""
UNSURE = """\
                IF unsure_{share} THEN
                    SELECT CASE WHEN {differ} THEN outboxctl.key_now_{share} END INTO key_now_{share}
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT {paired}) c
                    LIMIT 1;
                END IF;"""
VARIABLES = """
    key_now_{share} text;
    key_before_{share} text;
    unsure_{share} boolean;"""
# No query has a condition on a variable: for its value PostgreSQL would plan each statement anew.
OF_PAIR = "SELECT * FROM (VALUES {keys}) v (place, {names}) WHERE entity_key IS NOT NULL"
BODY_OF_ROW = """
-- projections: {projections}
<<outboxctl>>
DECLARE
    gone boolean;{declared}
BEGIN
            {gone}{more}
    IF gone THEN
{alone}
    ELSE
{written}
    END IF;
    RETURN NULL;
END
"""
# OLD has only NULLs for an INSERT, NEW for a DELETE.
OF_ROW = """\
SELECT {old_key} WHERE TG_OP <> 'INSERT' AND {old_known}
                UNION ALL SELECT {new_key} WHERE TG_OP <> 'DELETE' AND {new_known}
                    AND (TG_OP = 'INSERT' OR NOT {old_known} OR {old_key} <> {new_key})"""
# PL/pgSQL looks for the next THEN outside of parentheses.
IF_CHANGED = """\
            IF (TG_OP <> 'UPDATE' OR {differ}) THEN
{written}
            END IF;"""
Values = dict[str, str]
Arrays = Sequence[Sequence[Values]]  # of each share, as `trigger_keys.arrays`


def template(table: WatchedTable, schema: str, *, rows: bool) -> str:
    """The function's text for `trigger_columns.FILLED`, which puts in what depends on the table's columns."""
    events = {"events": Identifier(schema, EVENTS), "columns": SQL(", ").join(map(SQL, INSERTED))}
    every = _escaped(events) | fields(0) | {"projections": ", ".join(table.projections)}
    whole = not table.names
    every |= {"everything": str(EVERYTHING), "declared": "\n    more boolean;" if whole else ""}
    every |= {"more": MORE.format_map(every) if whole else ""}
    shares = [
        every | _of_user(each, ("OLD", "NEW") if rows else ("o", "n")) | fields(share) | {"share": str(share)}
        for share, each in enumerate(table.users, 1)
    ]
    if rows:
        return _of_rows(every, shares)
    found = [[_escaped(each) for each in arrays(user, ("o", "n"))] for user in table.users]
    return _of_statements(every, shares, found)


def _of_user(watched: Watched, rows: tuple[str, str]) -> Values:
    root = watched.place is None  # whose keys are all different
    words = {"distinct": "" if root else "DISTINCT ", "duplicates": " ALL" if root else ""}
    own = {"common": _common(watched, watched.follow), "projection": Literal(watched.projection)}
    own |= {"common_in_bulk": _common(watched, DOCUMENTS if watched.follow is None else watched.follow)}
    return _escaped(own | sides(watched, rows)) | words


def _escaped(parts: Mapping[str, Composable]) -> Values:
    """Texts for the `format` of PostgreSQL."""
    return {name: part.as_string().replace("%", "%%") for name, part in parts.items()}


def _common(watched: Watched, place: int | None) -> Composable:
    """What COMMON says after the key, where that is `follow`."""
    name = watched.projection
    if place is None:
        follow, prefix = "NULL::int, NULL::timestamptz", f"{name}:"
    else:
        follow, prefix = f"{place}, 'infinity'::timestamptz", f"{name}/{place}:"
    return SQL("{}, {}::text, {}").format(SQL(follow), Literal(name), Literal(prefix))


def _of_statements(every: Values, shares: Sequence[Values], found: Arrays) -> str:
    return BODY.format_map(
        every
        | {
            "declared": every["declared"] + "".join(VARIABLES.format_map(each) for each in shares),
            "update": _of_update(every, shares, found),
            "insert": _of_one_side(every, shares, found, "new"),
            "delete": _of_one_side(every, shares, found, "old"),
            "all": _all(shares),
        }
    )


def _of_update(every: Values, shares: Sequence[Values], found: Arrays) -> str:
    of_share = trigger_bulk.OF_SHARE if len(shares) > 1 else ""
    changes = [OF_CHANGED.format_map(each | {"of_share": of_share.format_map(each)}) for each in shares]
    own = [OF_CHANGED.format_map(each | {"of_share": ""}) for each in shares]
    written = [
        _write_alone(each, changes_of, CHANGED.format_map(each))
        for each, changes_of in zip(shares, own, strict=True)
    ]
    keys = [
        f"({2 * share + side}, key_{which}_{share}, {each['common']})"
        for share, each in enumerate(shares, 1)
        for side, which in enumerate(("now", "before"))
    ]
    rows, changed = trigger_bulk.changed_rows(every, shares), CHANGED.format_map(every)
    parts = {
        "table": OLD,
        **_in_bulk(shares, found, changes, rows, changed),
        "gone": GONE.format_map(every),
        "alone": _alone(shares, [GONE.format_map(each) for each in shares], written),
        "pair": _pair(every, shares),
        "one": _write(every, OF_PAIR.format(keys=", ".join(keys), names=COMMON), "place"),
        "many": _write_shares(shares, changes, changed),
    }
    return CHANGE.format_map(every | parts)


def _pair(every: Values, shares: Sequence[Values]) -> str:
    kinds = ("key_now", "key_before", "unsure")
    variables = [[f"{kind}_{each['share']}" for kind in kinds] for each in shares]
    parts = {
        "values": ",\n                ".join(PAIRED.format_map(each) for each in shares),
        "variables": ", ".join(name for names in variables for name in names),
        "unsure": "\n".join(UNSURE.format_map(each) for each in shares),
        "keys": ", ".join(name for names in variables for name in names[:2]),
    }
    return PAIR.format_map(every | parts)


def _of_one_side(every: Values, shares: Sequence[Values], found: Arrays, side: str) -> str:
    """An INSERT or a DELETE, which needs the columns of the keys alone."""
    of_side = [
        each
        | {name: each[f"{side}_{name}"] for name in ("key", "known")}
        | {name: each[f"key_{name}"] for name in ("number", "pairs", "names")}
        | {"table": TABLES[side], "row": side[0]}
        for each in shares
    ]
    many = [ONE_SIDE.format_map(each) for each in of_side]
    gone = [GONE.format_map(each) for each in of_side]
    written = [_write_alone(each, of) for each, of in zip(shares, many, strict=True)]
    one = ["({share}, CASE WHEN {known} THEN {key} END, {common})".format_map(each) for each in of_side]
    of_one = of_side[0] | {"keys": ",\n                ".join(one), "names": COMMON}
    keys = {name: every[f"key_{name}"] for name in ("number", "pairs", "names", "as_before")}
    parts = {
        "table": TABLES[side],
        "gone": GONE.format_map(every | keys),
        "more": "",
        "alone": _alone(shares, gone, written),
        "pair": "",
        "one": _write(every, OF_ONE.format_map(of_one), "place"),
        "many": _write_shares(shares, many),
        **_in_bulk(shares, found, many, trigger_bulk.rows_of_side(every, of_side, side)),
    }
    return CHANGE.format_map(every | keys | parts)


def _of_rows(every: Values, shares: Sequence[Values]) -> str:
    written = [
        IF_CHANGED.format_map(each | {"written": _write_alone(each, OF_ROW.format_map(each))})
        for each in shares
    ]
    gone = [GONE_FOR_ROW.format_map(each) for each in (every, *shares)]
    parts = {"gone": gone[0], "alone": _alone(shares, gone[1:], written), "written": "\n".join(written)}
    return BODY_OF_ROW.format_map(every | parts)


def _in_bulk(
    shares: Sequence[Values],
    found: Arrays,
    changes: Sequence[str],
    rows: trigger_bulk.Rows,
    changed: str = "",
) -> Values:
    """How many rows are counted, and what BULK of them or more do, where some share has arrays."""
    if not any(found):
        return {"counted": "2", "bulk": ""}
    others = [
        NUMBERED.format_map(share | {"rows": _of_share(share, of)})
        for share, arrays, of in zip(shares, found, changes, strict=True)
        if not arrays
    ]
    events = [trigger_bulk.events(shares, found, rows, COMMON), *others]
    written = _write(shares[0], "\n            UNION ALL ".join(events), "place", changed)
    return {
        "counted": str(trigger_bulk.BULK),
        "bulk": IN_BULK.format(bulk=trigger_bulk.BULK, written=written),
    }


def _write_shares(shares: Sequence[Values], changes: Sequence[str], changed: str = "") -> str:
    """One INSERT of the events of these shares, whose rows are numbered."""
    rows = [_of_share(each, of) for each, of in zip(shares, changes, strict=True)]
    return _write(shares[0], "\n            UNION ALL ".join(rows), "row_number() OVER ()", changed)


def _write_alone(share: Values, changes: str, changed: str = "") -> str:
    """An INSERT of the events of one share."""
    return _write(share, _of_share(share, changes), "", changed)


def _of_share(share: Values, changes: str) -> str:
    return SHARE.format_map(share | {"changes": changes})


def _write(values: Values, rows: str, number: str, changed: str = "") -> str:
    """An INSERT of rows with the columns of COMMON; `number` is one of them, or none."""
    named = f"({rows}) c ({COMMON})" if number != "place" else f"({rows}) c"
    parts = {
        "rows": named,
        "changed": changed,
        "whole": WHOLE,
        "id_column": f"{ID_COLUMN}, " if number else "",
        "id": ID.format(number=number) if number else "",
    }
    return WRITE.format_map(values | parts)


def _alone(shares: Sequence[Values], gone: Sequence[str], written: Sequence[str]) -> str:
    """What is done where a column is gone, share by share."""
    if len(shares) == 1:
        return f"            {_all(shares)}"
    parts = zip(shares, gone, written, strict=True)
    return "\n".join(
        ALONE.format(gone=look, all=_all([share]), written=write) for share, look, write in parts
    )


def _all(shares: Sequence[Values]) -> str:
    """An event of all documents for each projection of these shares."""
    rows = dict.fromkeys(ALL_OF_ONE.format_map(each) for each in shares)
    return ALL.format_map(shares[0] | {"rows": ",\n            ".join(rows)})


def tag(word: str, text: str) -> str:
    """A dollar quote that the text does not contain."""
    while f"${word}$" in text:
        word += "_"
    return f"${word}$"
