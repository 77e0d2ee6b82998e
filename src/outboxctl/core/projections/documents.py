"""Reading documents of a projection: one read-only statement, and the version of its snapshot.

Read after the claim has committed, in a transaction that writes nothing: a transaction that has written
counts itself in the serial number of its snapshots (version_base.py).
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from psycopg.sql import SQL

from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.projections.document_sql import statement
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.json_casts import CASTS, refuse_casts
from outboxctl.core.projections.key_sql import array_types, arrays, qualified
from outboxctl.core.projections.version_base import asking_again, current, server
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import exchange, take_opening
from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.errors import ChangedError
from outboxctl.domain.projection import Projection, Relation, Routing, key_parts

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
SEVERAL = "{view} has more than one row for this key, and a document is one row: correct the view"
RETYPED = "the key {} is {} now, and {} in the declaration: outboxctl projection apply FILE"
EMPTY = "its key is an empty text, and no engine takes an empty _id: give the row another key"
# Where a cast may be a stranger's, no row is asked for: PostgreSQL looks at this first, and once.
NO_CASTS = f" WHERE (SELECT NOT ({CASTS}))"
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
    sent: Sequence[Any] = ()  # core.documents.placing.SendPlan


class Addressed(NamedTuple):
    """Where the document of a key is, of a projection that keeps that (`Projection.placed`).

    `there`: the view has a row. `value` is what it has in the column that chooses its index, where there is
    such a one. `content` is a hash of it, `unchanged`: its address holds it. `places`: all addresses that it
    may have, each as index, `_id`, and whether the reader opened it last.
    """

    there: bool
    value: str | None = None
    content: str | None = None
    places: Sequence[tuple[str, str, bool]] | None = None
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
    message = "; ".join(filter(None, (take_opening(connection), session(seconds), ONLY_READS, CASTS)))
    if exchange(connection, message)[0].rows[0][0]:
        refuse_casts(connection, document)


def session(seconds: float, lock_seconds: float = LOCK_SECONDS) -> str:
    """What a transaction sets before it reads from the user's tables.

    Its statements take at most `seconds`, and wait at most `lock_seconds` for a lock.
    """
    limits = {"statement_timeout": seconds, "lock_timeout": min(seconds, lock_seconds)}
    times = "".join(f"; SET LOCAL {name} = {max(1, int(s * 1_000))}" for name, s in limits.items())
    return SESSION + times


def _types(projection: Projection, *, sending: bool) -> dict[str, str]:
    """The types of the parameters of `statement`."""
    keys = {name: f"{kind.as_string()}[]" for name, kind in array_types(projection).items()}
    placed = {"opening": "uuid", "holds": "text"} if sending else {}
    return keys | placed | {"max_bytes": "bigint", "name": "text", "stamp": "text"}
