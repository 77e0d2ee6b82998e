"""What the function of a trigger says of its table's columns: SQL that puts it into the function's text.

It runs where the function is made, so that the printed SQL is right on any server. Virtual generated columns
are left out: no trigger can read one.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Literal

# What `format` puts in for a field of the text.
FIELDS = {
    name: f"%{place}$s"
    for place, name in enumerate(
        (
            *("oid", "next", "number", "pairs", "names", "key_number", "key_pairs", "key_names"),
            *("aliases", "old_columns", "new_columns", "differ", "used", "as_before", "key_as_before"),
            "differ_unless_large",
        ),
        1,
    )
}
# Bytes as they are stored, of values that may have changed: above that they count as changed.
COMPARED = 1_000_000
AS_TEXT = 100_000
# Columns whose names cost less one by one than by a query. Before PostgreSQL 14 asking for one that is gone
# is an error.
LOOKED_AT = 6
# Two values with one number are one value beside the row, which the statement left alone.
NUMBERED = "current_setting('server_version_num')::int >= 170000"
SAME = (
    "pg_column_toast_chunk_id(%1$s) = pg_column_toast_chunk_id(%2$s)"
    " AND pg_column_size(%1$s) = pg_column_size(%2$s)"
)
# Two rows are compared as images, which reads what is beside them: without values that are the same ones, and
# not where that would take too much memory. Fields: numbers, images, sizes, columns without the same ones.
DIFFER = (
    "CASE WHEN coalesce(%1$s) IS NULL THEN %2$s WHEN 0::int8 + %3$s > {compared} THEN true"
    " ELSE ROW(%4$s)::record *<> ROW(%5$s)::record END"
)
DIFFER_BY_VALUE = "CASE WHEN 0::int8 + %3$s > {compared} THEN true ELSE %2$s END"
# The text of a row, in which a value beside it is its number: so one that is written again counts as changed,
# and so does a larger one. Fields: a condition, sizes, numbers, columns, a mark, what is left of each one.
USED = (
    "CASE WHEN %1$s0::int8 + %2$s < {as_text}%3$s THEN concat(ROW(%4$s))"
    ' ELSE concat(ROW(%5$s%6$s)) END COLLATE "C"'
)
# `function`, `watched`, `level`, `settings`, and the text of the function, for each row of {functions}.
# `large`: columns whose values may be beside the row.
FILLED = """
SELECT w.function, w.watched, w.level, w.settings, format(w.body, w.watched::oid,
    (SELECT relnatts + 1 FROM pg_class WHERE oid = w.watched), c.number, c.pairs, c.names,
    c.key_number, c.key_pairs, c.key_names, c.aliases, c.old_columns, c.new_columns,
    CASE WHEN w.whole THEN 'more OR ' ELSE '' END || CASE WHEN NOT c.large THEN c.images
        ELSE format(CASE WHEN w.numbered THEN '{differ}' ELSE '{differ_by_value}' END, c.numbers, c.images,
            c.sizes, c.old_differing, c.new_differing) END,
    CASE WHEN NOT c.large AND NOT w.whole THEN format('concat(ROW(%s)) COLLATE "C"', c.used)
        ELSE format('{used}', CASE WHEN w.whole THEN 'NOT more AND ' ELSE '' END, coalesce(c.used_sizes, '0'),
            ' AND coalesce(' || c.used_numbers || ') IS NULL', c.used,
            CASE WHEN w.whole THEN 'CASE WHEN more THEN r.side END, ' ELSE '' END, c.marked) END,
    CASE WHEN w.named AND c.number <= {looked_at} THEN c.as_before ELSE 'false' END,
    CASE WHEN w.named AND c.key_number <= {looked_at} THEN c.key_as_before ELSE 'false' END,
    CASE WHEN w.whole THEN 'more OR ' ELSE '' END || CASE WHEN NOT c.large THEN c.images
        WHEN w.numbered THEN format('CASE WHEN coalesce(%s) IS NULL THEN %s END', c.numbers, c.images)
        ELSE 'NULL' END) AS body
FROM (SELECT *, names = '{{}}' AS whole, {numbered} AS numbered,
        current_setting('server_version_num')::int >= 140000 AS named
    FROM (VALUES {functions}) v (function, watched, level, settings, names, keys, body)) w,
LATERAL (
    SELECT count(*) AS number, bool_or(large) AS large,
        string_agg(pair, ', ' ORDER BY name) AS pairs,
        string_agg(quote_literal(name), ', ' ORDER BY name) AS names,
        count(*) FILTER (WHERE is_key) AS key_number,
        coalesce(string_agg(pair, ', ' ORDER BY name) FILTER (WHERE is_key), '('''', 0)') AS key_pairs,
        coalesce(string_agg(quote_literal(name), ', ' ORDER BY name) FILTER (WHERE is_key), '''''')
            AS key_names,
        string_agg(as_before, ' AND ' ORDER BY name) AS as_before,
        coalesce(string_agg(as_before, ' AND ' ORDER BY name) FILTER (WHERE is_key), 'true') AS key_as_before,
        string_agg(alias, ', ' ORDER BY place) AS aliases,
        string_agg(format('o.%I', name), ', ' ORDER BY place) AS old_columns,
        string_agg(format('n.%I', name), ', ' ORDER BY place) AS new_columns,
        format('ROW(%s)::record *<> ROW(%s)::record', string_agg(old, ', ' ORDER BY place),
            string_agg(new, ', ' ORDER BY place)) AS images,
        string_agg(format('pg_column_toast_chunk_id(%s), pg_column_toast_chunk_id(%s)', old, new), ', '
            ORDER BY place) FILTER (WHERE large) AS numbers,
        string_agg(format('CASE WHEN %s THEN 0 ELSE coalesce(pg_column_size(%s), 0)'
            ' + coalesce(pg_column_size(%s), 0) END', same, old, new), ' + ' ORDER BY place)
            FILTER (WHERE large) AS sizes,
        string_agg(format(unless_same, same, old), ', ' ORDER BY place) AS old_differing,
        string_agg(format(unless_same, same, new), ', ' ORDER BY place) AS new_differing,
        string_agg('r.' || alias, ', ' ORDER BY place) AS used,
        string_agg(format('coalesce(pg_column_size(r.%s), 0)', alias), ' + ' ORDER BY place)
            FILTER (WHERE large) AS used_sizes,
        string_agg(format('pg_column_toast_chunk_id(r.%s)', alias), ', ' ORDER BY place)
            FILTER (WHERE large AND w.numbered) AS used_numbers,
        string_agg(format(CASE WHEN NOT large THEN 'r.%1$s' WHEN w.numbered
            THEN 'CASE WHEN pg_column_toast_chunk_id(r.%1$s) IS NULL AND pg_column_size(r.%1$s) < {as_text}'
                ' THEN r.%1$s END,'
                ' coalesce(pg_column_toast_chunk_id(r.%1$s) || '':'' || pg_column_size(r.%1$s),'
                ' CASE WHEN pg_column_size(r.%1$s) >= {as_text} THEN r.side::text END)'
            ELSE 'CASE WHEN pg_column_size(r.%1$s) < {as_text} THEN r.%1$s END,'
                ' CASE WHEN pg_column_size(r.%1$s) >= {as_text} THEN r.side END' END, alias), ', '
            ORDER BY place) AS marked
    FROM (SELECT *, CASE WHEN w.numbered THEN format('{same}', old, new) ELSE 'false' END AS same,
            CASE WHEN large THEN 'CASE WHEN %s THEN NULL ELSE %s END' ELSE '%2$s' END AS unless_same
        FROM (SELECT name, place, format('c%s', place) AS alias, name = ANY (w.keys) AS is_key,
                format('(%L, %s)', name, attnum) AS pair,
                format('(pg_identify_object_as_address(1259, TG_RELID, %s)).object_names[3] = %L',
                    attnum, name) AS as_before, attlen = -1 AND attstorage <> 'p' AS large,
                CASE w.level WHEN 'ROW' THEN format('OLD.%I', name) ELSE format('o.c%s', place) END AS old,
                CASE w.level WHEN 'ROW' THEN format('NEW.%I', name) ELSE format('n.c%s', place) END AS new
            FROM (SELECT attname::text AS name, attnum, attlen, attstorage,
                    row_number() OVER (ORDER BY attnum) AS place
                FROM pg_attribute WHERE attrelid = w.watched AND attnum > 0 AND NOT attisdropped
                    AND attgenerated <> 'v' AND (w.names = '{{}}' OR attname = ANY (w.names))) a) b) d
) c"""


def filled(functions: Sequence[Composable]) -> Composable:
    """The query of the functions, each a row of name, table, level, settings, names, names of keys, text."""
    limits = {"compared": Literal(COMPARED), "as_text": Literal(AS_TEXT)}
    return SQL(FILLED).format(
        functions=SQL(",\n            ").join(functions),
        differ=SQL(DIFFER).format(**limits),
        differ_by_value=SQL(DIFFER_BY_VALUE).format(**limits),
        used=SQL(USED).format(**limits),
        same=SQL(SAME),
        numbered=SQL(NUMBERED),
        as_text=Literal(AS_TEXT),
        looked_at=Literal(LOOKED_AT),
    )
