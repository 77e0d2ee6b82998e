"""What the function of a table's triggers says of the columns: SQL that puts it into the function's text.

It runs where the function is made, so that the printed SQL is right on any server. Virtual generated columns
are left out: no trigger can read one. In pairs of rows a column is known by its number: `c.o3`, `c.n3`.
"""

# What `format` puts in for a field of a part of the text: a part has some of the columns.
FIELDS = (
    *("oid", "next", "number", "pairs", "names", "key_number", "key_pairs", "key_names"),
    *("as_before", "key_as_before", "old_columns", "new_columns", "paired", "old_named", "new_named"),
    *("differ", "differ_unless_large", "key_differs"),
)
COMPARED = 1_000_000  # bytes of a value as they are stored: above that it counts as changed
# Columns whose names cost less one by one than by a query. Before PostgreSQL 14 asking for one that is gone
# is an error.
LOOKED_AT = 6
NAMED = "current_setting('server_version_num')::int >= 140000"
# Two values with one number are one value beside the row, which the statement left alone.
NUMBERED = "current_setting('server_version_num')::int >= 170000"
SAME = (
    "pg_column_toast_chunk_id(%1$s) = pg_column_toast_chunk_id(%2$s)"
    " AND pg_column_size(%1$s) = pg_column_size(%2$s)"
)
# Values are compared as images, by no function of their type. That reads what is beside the row: so not where
# it is the same value, nor where it would take too much memory.
LARGE = (
    "'CASE WHEN {same} THEN false WHEN coalesce(pg_column_size(%1$s)::int8, 0)"
    " + coalesce(pg_column_size(%2$s), 0) > {compared} THEN true"
    " ELSE ROW(%1$s)::record *<> ROW(%2$s)::record END'"
)
BY_NUMBER, BY_VALUE = (LARGE.format(same=each, compared=COMPARED) for each in (SAME, "false"))
# `function`, `watched`, `level`, `settings`, and the text of the function, for each row of {functions}. Of
# {parts} each is a row of the function's name, a number, names of columns, names of keys.
# `large`: columns whose values may be beside the row.
FILLED = f"""
SELECT w.function, w.watched, w.level, w.settings, format(w.body, VARIADIC (
    SELECT array_agg(f.value ORDER BY s.part, f.place)
    FROM (VALUES {{parts}}) s (function, part, names, keys), LATERAL (
        SELECT ARRAY[w.watched::oid::text,
            (SELECT (relnatts + 1)::text FROM pg_class WHERE oid = w.watched),
            count(*)::text, string_agg(pair, ', '), string_agg(quote_literal(name), ', '),
            (count(*) FILTER (WHERE is_key))::text,
            coalesce(string_agg(pair, ', ') FILTER (WHERE is_key), '('''', 0)'),
            coalesce(string_agg(quote_literal(name), ', ') FILTER (WHERE is_key), ''''''),
            CASE WHEN {NAMED} AND count(*) <= {LOOKED_AT} THEN string_agg(as_before, ' AND ')
                ELSE 'false' END,
            CASE WHEN {NAMED} AND count(*) FILTER (WHERE is_key) <= {LOOKED_AT}
                THEN coalesce(string_agg(as_before, ' AND ') FILTER (WHERE is_key), 'true')
                ELSE 'false' END,
            string_agg(format('o.%I AS o%s', name, attnum), ', '),
            string_agg(format('n.%I AS n%s', name, attnum), ', '),
            string_agg(format('o.%1$I AS o%2$s, n.%1$I AS n%2$s', name, attnum), ', '),
            string_agg(format('c.o%s AS %I', attnum, name), ', '),
            string_agg(format('c.n%s AS %I', attnum, name), ', '),
            concat_ws(' OR ', CASE s.names WHEN '{{{{}}}}' THEN 'outboxctl.more' END,
                'ROW(' || string_agg(old, ', ') FILTER (WHERE NOT large) || ')::record *<> ROW('
                    || string_agg(new, ', ') FILTER (WHERE NOT large) || ')::record',
                string_agg(differs, ' OR ') FILTER (WHERE large)),
            concat_ws(' OR ', CASE s.names WHEN '{{{{}}}}' THEN 'outboxctl.more' END,
                CASE WHEN NOT {NUMBERED} AND bool_or(large) THEN 'NULL' ELSE
                    concat('CASE WHEN coalesce(' || string_agg(numbers, ', ') || ') IS NULL THEN ',
                        'ROW(' || string_agg(old, ', ') || ')::record *<> ROW(' || string_agg(new, ', ')
                            || ')::record',
                        CASE WHEN bool_or(large) THEN ' END' END) END),
            coalesce(string_agg(differs, ' OR ') FILTER (WHERE is_key), 'false')] AS fields
        FROM (SELECT *, CASE WHEN large THEN format('pg_column_toast_chunk_id(%s),'
                    ' pg_column_toast_chunk_id(%s)', old, new) END AS numbers,
                format(CASE WHEN NOT large THEN 'ROW(%1$s)::record *<> ROW(%2$s)::record'
                    WHEN {NUMBERED} THEN {BY_NUMBER} ELSE {BY_VALUE} END, old, new) AS differs
            FROM (SELECT attname::text AS name, attnum, attname = ANY (s.keys) AS is_key,
                    format('(%L, %s)', attname, attnum) AS pair,
                    format('(pg_identify_object_as_address(1259, TG_RELID, %s)).object_names[3] = %L',
                        attnum, attname) AS as_before, attlen = -1 AND attstorage <> 'p' AS large,
                    format(CASE w.level WHEN 'ROW' THEN 'OLD.%1$I' ELSE 'c.o%2$s' END, attname, attnum)
                        AS old,
                    format(CASE w.level WHEN 'ROW' THEN 'NEW.%1$I' ELSE 'c.n%2$s' END, attname, attnum)
                        AS new
                FROM pg_attribute WHERE attrelid = w.watched AND attnum > 0 AND NOT attisdropped
                    AND attgenerated <> 'v' AND (s.names = '{{{{}}}}' OR attname = ANY (s.names))
                ORDER BY attnum) a) b
    ) c, unnest(c.fields) WITH ORDINALITY f (value, place)
    WHERE s.function = w.function)) AS body
FROM (VALUES {{functions}}) w (function, watched, level, settings, body)"""


def fields(part: int) -> dict[str, str]:
    """What stands in a function's text for each field of a part."""
    return {name: f"%{part * len(FIELDS) + place}$s" for place, name in enumerate(FIELDS, 1)}
