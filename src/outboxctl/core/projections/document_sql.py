"""The statement that reads documents of a projection by their keys, and its parts."""

from functools import lru_cache

from psycopg.sql import SQL, Composable, Composed, Literal

from outboxctl.core.projections import in_force
from outboxctl.core.projections.key_sql import identifier, key_text_of, looked_up
from outboxctl.core.projections.version_base import HIGHEST, version_sql
from outboxctl.core.refused_reads import NO_VERSION, OURS, ReadRefusedError
from outboxctl.core.schema.names import PLACES, VERSION_BASE
from outboxctl.core.search_path import Places
from outboxctl.domain.index_names import BRACES
from outboxctl.domain.projection import Projection, Routing

LEFT_OUT = ""  # in place of a document for which the batch had no room; the text of none is empty
# An error of PostgreSQL, which is the row's own like that of any expression in the view.
OWN_VERSION = f"""CASE WHEN {{column}} BETWEEN 0 AND {HIGHEST} THEN {{column}}::bigint
    ELSE CAST(concat('{OURS}', {{what}}, coalesce({{column}}::text, 'NULL'), '{NO_VERSION}') AS bigint)
    END"""
# To PostgreSQL a vector is a text of numbers in brackets, which is an array of JSON. All else stays as
# `to_json` writes it. A cast, so that what is no array raises, as the row's own error.
WITH_ARRAYS = """(SELECT concat('{{', string_agg(concat(to_json(e.key), ':', CASE WHEN e.key IN ({})
    THEN coalesce((e.value #>> '{{}}')::json, 'null') ELSE e.value END), ','), '}}')
    FROM json_each(to_json(v.*)) e)"""
FORMER_ID = (
    "the declaration of {name} in force has `id` ({id}), which is not supported any more:"
    " `outboxctl projection apply FILE` of one without it, then `outboxctl rebuild`"
)
FORMER_ROOT = (
    "the declaration of {name} in force has a view for its root, which is not supported any more, and other"
    " names for {columns} of {root}: have the view return them by these names, name this `root` and `key` in"
    " the file, then `outboxctl projection apply FILE`"
)
NO_SERIAL = "SELECT NULL"  # rows have versions of their own
# The key is compared as the column's type, so that an index finds it, and as text: of two texts of one value
# only that of the triggers is a key. Two rows are as many as are needed to see that there are several.
MADE = """made AS (
    SELECT k.place, {sent} AS document, d.routing, d.own, {address} AS address
    FROM unnest({arrays}) WITH ORDINALITY k ({names}, place)
    LEFT JOIN LATERAL (
        SELECT {document} AS document, {routing} AS routing, {own} AS own, {value} AS value
        FROM {view} v WHERE {matches} LIMIT 2
    ) d ON true{placed}
)"""
STATEMENT = f"""
WITH version AS MATERIALIZED ({{version}}), {MADE}, found AS (
    SELECT place, document, routing, own, address,
        sum(octet_length(document)) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS so_far
    FROM made
)
SELECT {{version_of}}, place,
    CASE WHEN so_far > %(max_bytes)s AND so_far > octet_length(document) THEN '{LEFT_OUT}' ELSE document END,
    routing, coalesce({{stamp}} = %(stamp)s, false), address
FROM version, found{{only}} ORDER BY place
"""
# Of a projection with addresses that are kept (core/delivery/places.py): those of each key. Only a document
# whose address `opening` has opened is read.
PLACED = f"""
    LEFT JOIN LATERAL (
        SELECT CASE WHEN num_nonnulls(d.document) = 1 THEN {{content}} END AS content OFFSET 0
    ) c ON true
    LEFT JOIN LATERAL (
        SELECT bool_or({{here}} AND p.opened = CAST(%(opening)s AS uuid)) AS open,
            bool_and(coalesce(p.content = c.content, false)) AS unchanged,
            json_agg(json_build_array(p.index_name, p.document_id,
                coalesce(p.opened = CAST(%(opening)s AS uuid), false))) AS places
        FROM {PLACES} p
        WHERE p.projection = %(name)s AND {{own}}
            AND p.entity_id = CAST(md5(concat(%(name)s, ':', {{key}})) AS uuid)
    ) p ON true"""
# SHA-256 is PostgreSQL's own since version 11. What the base of all versions was raised for may have changed
# the index unseen.
CONTENT = f"""sha256(convert_to(concat(%(holds)s, (SELECT base FROM {VERSION_BASE} LIMIT 1), E'\n', d.routing,
            E'\n', d.document), 'UTF8'))"""
# NULL where the document is unchanged: in a full resync most are.
ADDRESS = """CASE WHEN coalesce(p.unchanged, false) THEN NULL
        ELSE json_build_array(num_nonnulls(d.document) = 1, d.value, encode(c.content, 'hex'), p.places)
        END"""
BARE_ADDRESS = "json_build_array(num_nonnulls(d.document) = 1, d.value)"  # nothing is sent


@lru_cache(512)
def statement(
    projection: Projection,
    server: str,
    places: Places,
    *,
    content: bool = True,
    sending: bool = False,
    only: str = "",
    template: str = STATEMENT,
) -> str:
    """The statement that reads documents, or another one of MADE, where our tables are at these places.

    Its parameters are k0, k1, … (arrays of text), max_bytes, and name and stamp of the projection; with
    `sending` what Opening has. `server` as `version_sql` has it.
    """
    own = own_version(projection) if content and projection.version else SQL("NULL::bigint")
    composed = SQL(places.render(template)).format(
        version=SQL(NO_SERIAL if projection.version else places.render(version_sql(server))),
        stamp=SQL(places.render(in_force.STAMP.format(name="%(name)s"))),
        document=in_part(projection, document(projection, content=content)),
        routing=value_of(projection.routing) if projection.routed is Routing.COLUMN else SQL("NULL"),
        value=value_of(projection.column) if projection.parted else SQL("NULL"),
        own=own,
        version_of=SQL("own" if projection.version else "version"),
        only=SQL(only),
        **_placed(projection, places, sending=sending),
        **looked_up(projection),
    )
    return composed.as_string()


def value_of(column: str, alias: str = "v") -> Composed:
    """SQL for a column's value as the document has it: a date in ISO, a number as it is written there."""
    return SQL(f"to_json({alias}.{{}}) #>> '{{{{}}}}'").format(identifier(column))


def in_part(projection: Projection, what: Composable) -> Composable:
    """SQL for what a row of the view `v` has; NULL for one of another part of the projection."""
    return SQL("CASE WHEN {} THEN {} END").format(of_part(projection), what) if projection.value else what


def of_part(projection: Projection, alias: str = "v") -> Composable:
    """SQL for whether a row of the view is of this part of a projection."""
    if not projection.value:
        return SQL("true")
    return SQL("({}) = {}").format(value_of(projection.column, alias), _text(projection.value))


def _placed(projection: Projection, places: Places, *, sending: bool) -> dict[str, Composable]:
    """The parts of `statement` about addresses."""
    if not sending:
        address = SQL(BARE_ADDRESS if projection.placed else "NULL::json")
        return {"sent": SQL("d.document"), "placed": SQL(""), "address": address}
    here, own = _addresses(projection)
    content = f"CASE WHEN %(holds)s <> '' THEN {CONTENT} END" if projection.skip_unchanged else "NULL::bytea"
    placed = SQL(places.render(PLACED)).format(
        content=SQL(places.render(content)),
        here=here,
        own=own,
        key=key_text_of([SQL(f"k.k{place}") for place in range(len(projection.key))]),
    )
    return {"sent": SQL("CASE WHEN p.open THEN d.document END"), "placed": placed, "address": SQL(ADDRESS)}


def document(projection: Projection, *, content: bool) -> Composable:
    """SQL for the JSON text of a row `v` of the view; without `content` an empty object.

    Raises as `require_supported`.
    """
    require_supported(projection)
    if not content:
        return SQL("'{}'::text")
    if not projection.vectors:
        return SQL("to_json(v.*)::text")
    names = (_text(each) for each in projection.vectors)
    return SQL(WITH_ARRAYS).format(SQL(", ").join(names))


def require_supported(projection: Projection) -> None:
    """Raise ReadRefusedError for a definition of a former version that has `id`, or a view for its root.

    Its documents had that column for their `_id`: by its key each would be written a second time. The key's
    columns have other names in the root, where these names may be other columns'.
    """
    if projection.former_id:
        raise ReadRefusedError("", FORMER_ID.format(name=projection.name, id=projection.former_id))
    if columns := projection.former_root_key:
        words = FORMER_ROOT.format(name=projection.name, columns=columns, root=projection.root)
        raise ReadRefusedError("", words)


def _addresses(projection: Projection) -> tuple[Composable, Composable]:
    """SQL for whether a place `p` is in the index of the row `d`, and whether it is in an index in force."""
    if not projection.parted:
        return SQL("true"), SQL("p.index_name = {}").format(_text(projection.index))
    before, after = map(_text, BRACES.split(projection.index))
    here = SQL("p.index_name = concat({}, d.value, {})").format(before, after)
    own = SQL("starts_with(p.index_name, {0}) AND right(p.index_name, length({1})) = {1}").format(
        before, after
    )
    return here, own


def _text(value: str) -> SQL:
    """A text in such a statement."""
    return SQL(Literal(value).as_string().replace("%", "%%"))


def own_version(projection: Projection) -> Composable:
    """SQL for the version that a row of the view has by itself; a row without a usable one raises."""
    name = identifier(projection.version)
    what = Literal(f"{projection.version[:100]} is ".replace("%", "%%"))
    return SQL(OWN_VERSION).format(column=SQL("v.{}").format(name), what=SQL(what.as_string()))
