"""Reading documents of a projection: one read-only statement, and the version of its snapshot.

Read after the claim has committed, in a transaction that writes nothing: a transaction that has written
counts itself in the serial number of its snapshots (version_base.py).
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.projections import in_force, owners
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.version_base import HIGHEST, asking_again, current, server, version_sql
from outboxctl.core.refused_reads import NO_VERSION, OURS, ReadRefusedError, reading_rows
from outboxctl.core.schema.names import PLACES, VERSION_BASE
from outboxctl.core.search_path import Places, places
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import exchange, take_opening
from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.errors import ChangedError
from outboxctl.domain.index_names import BRACES
from outboxctl.domain.projection import KeyColumn, Projection, Relation, Routing, key_parts

LEFT_OUT = ""  # in place of a document for which the batch had no room; the text of none is empty
# What the text of a value depends on, in the forms that the triggers write keys in. The plan must not depend
# on statistics that say "no rows": a table is not read as a whole where an index finds the key.
SESSION = (
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'; "
    "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL bytea_output = 'hex'; "
    "SET LOCAL extra_float_digits = 1"
)
# A claim allows nested loops alone: each row would be compared with every row of a table without an index.
JOINED = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
# Nothing is written, and no policy of a table's owner runs: PostgreSQL raises an error in its place.
ONLY_READS = "SET LOCAL transaction_read_only = on; SET LOCAL row_security = off"
# An error of PostgreSQL, which is the row's own like that of any expression in the view.
OWN_VERSION = f"""CASE WHEN {{column}} BETWEEN 0 AND {HIGHEST} THEN {{column}}::bigint
    ELSE CAST(concat('{OURS}', {{what}}, coalesce({{column}}::text, 'NULL'), '{NO_VERSION}') AS bigint)
    END"""
# To PostgreSQL a vector is a text of numbers in brackets, which is an array of JSON. All else stays as
# `to_json` writes it. A cast, so that what is no array raises, as the row's own error.
WITH_ARRAYS = """(SELECT concat('{{', string_agg(concat(to_json(e.key), ':', CASE WHEN e.key IN ({})
    THEN coalesce((e.value #>> '{{}}')::json, 'null') ELSE e.value END), ','), '}}')
    FROM json_each(to_json(v.*)) e)"""
NO_SERIAL = "SELECT NULL"  # rows have versions of their own
SEVERAL = "{view} has more than one row for this key, and a document is one row: correct the view"
RETYPED = "the key {} is {} now, and {} in the declaration: outboxctl projection apply FILE"
EMPTY = "its key is an empty text, and no engine takes an empty _id: give the row another key"
# The key is compared as the column's type, so that an index finds it, and as text: of two texts of one value
# only that of the triggers is a key. Two rows are as many as are needed to see that there are several.
MADE = """made AS (
    SELECT k.place, {sent} AS document, d.routing, d.own, {address} AS address
    FROM unnest({arrays}) WITH ORDINALITY k ({names}, place)
    LEFT JOIN LATERAL (
        SELECT {document} AS document, {routing} AS routing, {own} AS own, {id} AS id, {value} AS value
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
# Where a cast may be a stranger's, no row is asked for: PostgreSQL looks at this first, and once.
NO_CASTS = f" WHERE (SELECT NOT ({owners.CASTS}))"
# Of a projection with addresses that are kept (core/delivery/places.py): those of each key, and for each of
# them the other keys that it may be of. Only a document whose address `opening` has opened is read.
OF_KEY = f"""FROM {PLACES} p
        WHERE p.projection = %(name)s AND {{own}}
            AND p.entity_id = CAST(md5(concat(%(name)s, ':', {{key}})) AS uuid)"""
OTHERS = f"""FROM {PLACES} q WHERE q.projection = p.projection AND q.document_id = p.document_id
            AND q.index_name = p.index_name AND q.entity_id <> p.entity_id"""
PLACED = f"""
    LEFT JOIN LATERAL (
        SELECT CASE WHEN num_nonnulls(d.document) = 1 THEN {{content}} END AS content OFFSET 0
    ) c ON true
    LEFT JOIN LATERAL (
        SELECT bool_or({{here}} AND p.opened = CAST(%(opening)s AS uuid)) AS open,
            bool_or({{here}}) AND bool_and(coalesce(CASE WHEN {{here}}
                THEN p.content = c.content AND {{alone}} ELSE p.content = {{gone}} END, false)) AS unchanged
        {OF_KEY}
    ) p ON true"""
EVERY_PLACE = f"""(SELECT json_agg(json_build_array(p.index_name, p.document_id, p.opened, {{others}},
            p.content = {{gone}}))
        {OF_KEY})"""
# SHA-256 is PostgreSQL's own since version 11. What the base of all versions was raised for may have changed
# the index unseen.
CONTENT = f"""sha256(convert_to(concat(%(holds)s, (SELECT base FROM {VERSION_BASE} LIMIT 1), E'\n', d.routing,
            E'\n', d.document), 'UTF8'))"""
# Of a place that a document has left, whose delete was confirmed: once for all rows of a statement.
GONE = f"""(SELECT CASE WHEN %(holds)s <> '' THEN
            sha256(convert_to(concat(%(holds)s, (SELECT base FROM {VERSION_BASE} LIMIT 1)), 'UTF8')) END)"""
# Without anything to say of what is unchanged: of a sweep that are most.
ADDRESS = """CASE WHEN {unchanged} THEN NULL
        ELSE json_build_array(num_nonnulls(d.document) = 1, d.id, d.value, {content}, {open}, {places},
            {gone}) END"""
LOCKS = "SELECT FROM {} WHERE false"  # takes the locks of all tables that a view reads
FEW = 10  # keys for which planning takes longer than reading: a session plans these statements once


class Documents(NamedTuple):
    """Documents in the order of their keys: JSON text, None where the view has no row, LEFT_OUT without room.

    `version` is that of the snapshot; None where the base has to be raised first, and where the projection
    has a column of versions: `versions` are those of the rows then, None without a row. `routings` are in the
    same order, empty for a projection without routing; "" where a document has none, or none is known.
    `indexes`: where a column chooses it, the index of each; "" without a row.
    `unusable`: by the place of a key, why no document can be made of what the view has for it.
    """

    version: int | None
    texts: Sequence[str | None]
    routings: Sequence[str] = ()
    unusable: Mapping[int, str] = {}
    versions: Sequence[int | None] = ()
    indexes: Sequence[str] = ()
    at: Sequence["Addressed"] = ()
    sent: Sequence[Any] = ()  # core.documents.placing.Sent


class Addressed(NamedTuple):
    """Where the document of a key is, of a projection that keeps that (`Projection.placed`).

    `there`: the view has a row. `id` is the text of its `id`, `value` what it has in the column that chooses
    its index, where there is such a one. `content` is a hash of it, `open`: it may be sent, `unchanged`: its
    address holds it. `places`: all addresses that it may have, each as index, `_id`, by whom it was opened
    last, the other keys that it may be of, and whether it is known to hold nothing: then its content is
    `gone`.
    """

    there: bool
    id: str | None = None
    value: str | None = None
    content: str | None = None
    open: bool = False
    places: Sequence[tuple[str, str, str | None, Sequence[str] | None, bool | None]] | None = None
    gone: str | None = None
    unchanged: bool = False


UNCHANGED = Addressed(there=True, unchanged=True)


class Opening(NamedTuple):
    """Who reads documents to send them: `token` opens their addresses, `holds` names the index as it is.

    With an empty one nothing is unchanged.
    """

    token: str
    holds: str = ""


def read(
    connection: Connection,
    projection: Projection,
    keys: Sequence[str],
    *,
    seconds: float,
    max_bytes: int | None = None,
    content: bool = True,
    commit: bool = False,
    opening: Opening | None = None,
) -> Documents:
    """The documents of these keys (`key_text`), in one snapshot, in at most `seconds`.

    Without `content` an empty object for each key with a row in the view, of which nothing else is read.
    They have at most `max_bytes` (UTF-8) in all, or there is only one. Without a key nothing is returned, and
    raised is what no key is the reason for. Raises ValueError for a key with another number of parts,
    ChangedError where another definition of the projection is in force in that snapshot, and ReadRefusedError
    for what PostgreSQL raises while it reads. With `commit` the message that reads them ends the transaction.
    With `opening` only documents whose addresses that has opened have a text.
    """
    parts = [key_parts(key, len(projection.key)) for key in keys]
    values = {**parameters(projection, parts, opening), "max_bytes": max_bytes}
    rows: Sequence[Any] = ()
    known, sending = (server(connection), places(connection)), opening is not None
    query = partial(statement, projection, *known, content=content, sending=sending)
    with asking_again(connection), reading_rows(connection):
        if keys and commit:
            types = _types(projection, sending=sending) if len(keys) <= FEW else {}
            locks = SQL(LOCKS).format(qualified(projection.document)).as_string()
            once = PlannedOnce(query(only=NO_CASTS), values, types, locks)
            rows = send(connection, f"{session(seconds)}; {ONLY_READS}", once, commit=True)[-1].rows
        if not rows:  # there are such casts: of whom is asked first
            prepare_documents(connection, projection.document, seconds)
            rows = connection.exec_driver_sql(query(), values).all()
        if not rows:
            _require_types(connection, projection)
            return Documents(current(connection), [])
    if projection.stamp and not rows[0][4]:
        raise ChangedError(projection.name)
    return _documents(projection, keys, parts, rows)


def parameters(
    projection: Projection, parts: Sequence[Sequence[str]], opening: Opening | None
) -> dict[str, Any]:
    """Those of `statement` but max_bytes, for keys with these parts."""
    values = arrays(parts, projection) | {"name": projection.name, "stamp": projection.stamp}
    if opening:
        fields = (projection.mapping, projection.objects, projection.id_prefix)
        holds = json.dumps([opening.holds, projection.index, projection.pipeline, *fields])
        values |= {"opening": opening.token, "holds": opening.holds and holds}
    return values


def _require_types(connection: Connection, projection: Projection) -> None:
    """Raise ReadRefusedError where a key's column has another type than the declaration says.

    That a key is no value of the declared type is no fault of its row then.
    """
    types = {each.name: each.type for each in fields(connection, projection.document)}
    for column in projection.key if projection.name else ():
        if (now := types.get(column.name, column.type)) != column.type:
            raise ReadRefusedError("", RETYPED.format(column.name, now, column.type))


def _documents(
    projection: Projection, keys: Sequence[str], parts: Sequence[Sequence[str]], rows: Sequence[Sequence[Any]]
) -> Documents:
    """Rows of version, place from 1, text, routing, …, in the order of the places; some places twice."""
    first = [row for n, row in enumerate(rows) if n == 0 or row[1] != rows[n - 1][1]]
    at = [Addressed(*row[5]) if row[5] else UNCHANGED for row in first] if projection.placed else ()
    texts, (indexes, why) = [row[2] for row in first], _indexes(projection, at)
    if len(rows) > len(first):
        several = SEVERAL.format(view=projection.document)
        why |= {one[1] - 1: several for one, before in pairwise(rows) if one[1] == before[1]}
    if "" in keys:
        why |= {n: EMPTY for n, key in enumerate(keys) if key == "" and texts[n] is not None}
    if why:
        texts = [None if n in why else text for n, text in enumerate(texts)]
    version, versions = (None, [row[0] for row in first]) if projection.version else (rows[0][0], ())
    return Documents(version, texts, _routings(projection, parts, first), why, versions, indexes, at)


def _indexes(projection: Projection, at: Sequence[Addressed]) -> tuple[list[str], dict[int, str]]:
    """The index of each document where a column chooses it, and why the value of some names none."""
    indexes, why = [""] * len(at) if projection.parted else [], dict[int, str]()
    for place, each in enumerate(at if projection.parted else ()):
        try:
            if each.there and not each.unchanged:
                indexes[place] = projection.index_of(each.value)
        except ValueError as error:
            why[place] = str(error)
    return indexes, why


def _routings(
    projection: Projection, parts: Sequence[Sequence[str]], rows: Sequence[Sequence[Any]]
) -> Sequence[str]:
    if projection.routed is Routing.KEY:
        return [projection.key_routing(each) for each in parts]
    return [row[3] or "" for row in rows] if projection.routed is Routing.COLUMN else ()


def prepare(connection: Connection, seconds: float, lock_seconds: float = LOCK_SECONDS) -> None:
    """Make this transaction, or savepoint, one that only reads keys; limits as `session` has them."""
    connection.exec_driver_sql(f"{session(seconds, lock_seconds)}; {ONLY_READS}")


def prepare_documents(connection: Connection, document: Relation, seconds: float) -> None:
    """The same for documents of this view. ReadRefusedError where that would run a cast of a stranger's.

    One message with what opens the transaction.
    """
    message = "; ".join(filter(None, (take_opening(connection), session(seconds), ONLY_READS, owners.CASTS)))
    if exchange(connection, message)[0].rows[0][0]:
        owners.refuse_casts(connection, document)


def session(seconds: float, lock_seconds: float = LOCK_SECONDS) -> str:
    """What a transaction sets before it reads from the user's tables.

    Its statements take at most `seconds`, and wait at most `lock_seconds` for a lock.
    """
    limits = {"statement_timeout": seconds, "lock_timeout": min(seconds, lock_seconds)}
    times = "".join(f"; SET LOCAL {name} = {max(1, int(s * 1_000))}" for name, s in limits.items())
    return SESSION + times


def arrays(parts: Sequence[Sequence[str]], projection: Projection) -> dict[str, Any]:
    """The parameters k0, k1, … of the keys with these parts; t0, t1, … of types that are not PostgreSQL's."""
    found: dict[str, Any] = {
        f"k{place}": [part[place] for part in parts] for place in range(len(projection.key))
    }
    for place, column in enumerate(projection.key):
        if not column.built_in:
            found[f"t{place}"] = array_literal(found[f"k{place}"])
    return found


def array_literal(values: Sequence[str]) -> str:
    """An array as text: its elements are read by their type's input function, and by no cast."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _types(projection: Projection, *, sending: bool) -> dict[str, str]:
    """The types of the parameters of `statement`."""
    keys = {name: f"{kind.as_string()}[]" for name, kind in _key_types(projection).items()}
    placed = {"opening": "uuid", "holds": "text"} if sending else {}
    return keys | placed | {"max_bytes": "bigint", "name": "text", "stamp": "text"}


def _key_types(projection: Projection) -> dict[str, SQL]:
    """The types of the elements of `arrays`, by the name of the parameter."""
    own = {f"t{place}": type_of(each) for place, each in enumerate(projection.key) if not each.built_in}
    return {f"k{place}": SQL("text") for place in range(len(projection.key))} | own


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
        id=id_text(projection),
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


def id_text(projection: Projection, alias: str = "v") -> Composable:
    """SQL for the text of a row's `id` in the view; NULL where its key is its `_id`."""
    if projection.id is None:
        return SQL("NULL::text")
    return key_column_text(SQL(f"{alias}.{{}}").format(identifier(projection.id.name)), projection.id)


def _placed(projection: Projection, places: Places, *, sending: bool) -> dict[str, Composable]:
    """The parts of `statement` about addresses."""
    if not sending:
        bare = ADDRESS.format(content="NULL", open="false", unchanged="false", places="NULL", gone="NULL")
        only = SQL(bare if projection.placed else "NULL::json")
        return {"sent": SQL("d.document"), "placed": SQL(""), "address": only}
    here, own = _addresses(projection)
    hashed, gone = "NULL::bytea", "NULL::bytea"
    if projection.skip_unchanged:
        hashed, gone = f"CASE WHEN %(holds)s <> '' THEN {CONTENT} END", GONE
    others, alone = f"(SELECT json_agg(q.entity_key) {OTHERS})", f"NOT EXISTS (SELECT {OTHERS})"
    parts: dict[str, Composable] = {
        "content": SQL(places.render(hashed)),
        "gone": SQL(places.render(gone)),
        "here": here,
        "own": own,
        "key": key_text_of([SQL(f"k.k{place}") for place in range(len(projection.key))]),
        "others": SQL(places.render(others) if projection.moves else "NULL"),
        "alone": SQL(places.render(alone) if projection.moves else "true"),
    }
    known = ADDRESS.format(
        content="encode(c.content, 'hex')",
        open="coalesce(p.open, false)",
        unchanged="coalesce(p.unchanged, false)",
        places=places.render(EVERY_PLACE),
        gone="encode({gone}, 'hex')",
    )
    placed, address = (SQL(each).format(**parts) for each in (places.render(PLACED), known))
    return {"sent": SQL("CASE WHEN p.open THEN d.document END"), "placed": placed, "address": address}


def document(projection: Projection, *, content: bool) -> Composable:
    """SQL for the JSON text of a row `v` of the view; without `content` an empty object."""
    if not content:
        return SQL("'{}'::text")
    if not projection.vectors:
        return SQL("to_json(v.*)::text")
    names = (_text(each) for each in projection.vectors)
    return SQL(WITH_ARRAYS).format(SQL(", ").join(names))


def _addresses(projection: Projection) -> tuple[Composable, Composable]:
    """SQL for whether a place `p` is the address of the row `d`, and whether it is in an index in force."""
    here: list[Composable] = [SQL("true")]
    if projection.id:
        here.append(SQL("p.document_id = {} || d.id").format(_text(projection.id_prefix)))
    if not projection.parted:
        own = SQL("p.index_name = {}").format(_text(projection.index))
        return SQL(" AND ").join(here), own
    before, after = map(_text, BRACES.split(projection.index))
    here.append(SQL("p.index_name = concat({}, d.value, {})").format(before, after))
    own = SQL("starts_with(p.index_name, {0}) AND right(p.index_name, length({1})) = {1}").format(
        before, after
    )
    return SQL(" AND ").join(here), own


def _text(value: str) -> SQL:
    """A text in such a statement."""
    return SQL(Literal(value).as_string().replace("%", "%%"))


def own_version(projection: Projection) -> Composable:
    """SQL for the version that a row of the view has by itself; a row without a usable one raises."""
    name = identifier(projection.version)
    what = Literal(f"{projection.version[:100]} is ".replace("%", "%%"))
    return SQL(OWN_VERSION).format(column=SQL("v.{}").format(name), what=SQL(what.as_string()))


def looked_up(projection: Projection) -> dict[str, Composable]:
    """The parts of a statement that looks keys up in the view `v`: `arrays`, `names`, `view`, `matches`."""
    given = _key_types(projection)
    arrays = (SQL(f"CAST(%({name})s AS {{}}[])").format(kind) for name, kind in given.items())
    return {
        "arrays": SQL(", ").join(arrays),
        "names": SQL(", ").join(map(SQL, given)),
        "view": qualified(projection.document),
        "matches": SQL(" AND ").join(_match(place, each) for place, each in enumerate(projection.key)),
    }


def identifier(name: str) -> SQL:
    """An identifier in a statement with the driver's placeholders."""
    return SQL(Identifier(name).as_string().replace("%", "%%"))


def type_of(column: KeyColumn) -> SQL:
    """The type of a key's column in such a statement."""
    return SQL(column.type.replace("%", "%%"))


def qualified(relation: Relation) -> Composed:
    """A relation's name in such a statement."""
    return SQL(".").join(map(identifier, (relation.schema, relation.name)))


def _match(place: int, column: KeyColumn) -> Composed:
    name = SQL("v.{}").format(identifier(column.name))
    typed = (
        SQL(f"CAST(k.k{place} AS {{}})").format(type_of(column)) if column.built_in else SQL(f"k.t{place}")
    )
    text = key_column_text(name, column)
    return SQL(f"{{name}} = {{typed}} AND {{text}} = k.k{place}").format(name=name, typed=typed, text=text)


def key_text_sql(columns: Sequence[tuple[Composable, KeyColumn]]) -> Composable:
    """SQL for the text of a key with these values (domain.projection.key_text), as the triggers write it."""
    return key_text_of([key_column_text(value, column) for value, column in columns])


def key_text_of(texts: Sequence[Composable]) -> Composable:
    """The same of the texts of a key's columns."""
    if len(texts) == 1:
        return texts[0]
    escaped = [SQL("replace(replace({}, '%%', '%%25'), ':', '%%3A')").format(each) for each in texts]
    return SQL(" || ':' || ").join(escaped)


def key_column_text(value: Composable, column: KeyColumn) -> Composed:
    """SQL for the text of a key's column: the same for equal values."""
    if column.type == "pg_catalog.numeric":
        return SQL("trim_scale({})::text").format(value)
    # By the output function: a cast may be a function of the type's owner.
    return SQL("{}::text" if column.built_in else "concat({})").format(value)
