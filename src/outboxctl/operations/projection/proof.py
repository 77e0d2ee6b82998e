"""What a view's text must prove before its projection is put in force, and the follows that it proves."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import Identifier

from outboxctl.core.projections import catalog, dependencies, view_texts
from outboxctl.core.projections.fields import Field, fields, parameter_types, virtual
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Relation
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import KeyPath
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.place import Place, quoted

MISSING = (
    "write what is below into the file; in place of `all = true` (a change of any row has every document read"
    " again) better `key`, its columns with the document's key, or `keys`, a SELECT of the keys behind a"
    " changed row; or put the table into `ignore` if its changes do not count"
)
UNKNOWN = (
    "if each row of the view is made of the root's row of the same key, say so by what is below; else correct"
    " the view"
)
SEVERAL = (
    "make one value of its rows, (SELECT json_agg(…) FROM … WHERE …), or GROUP BY the key; if there is one"
    " row at most, a unique index on these columns says so"
)
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class UnprovenError(UsageError):
    """Tables of which the view does not prove how their changes reach documents."""

    def __init__(self, message: str, *, block: str, tables: Sequence[Relation]) -> None:
        super().__init__(message, hint=MISSING, block=block)
        self.tables = tables


@dataclass(frozen=True)
class Proof:
    """What is proved of a view: `used` are the tables that it reads, with the columns of each."""

    root: Relation
    used: Mapping[Relation, frozenset[str]]
    analysis: Analysis


def prove(
    connection: Connection,
    declared: Declaration,
    root: Relation,
    view: Relation,
    follow: Sequence[Follow],
    *,
    used: Mapping[Relation, frozenset[str]],
) -> Proof:
    """Analyse a view; `follow` are the tables that the declaration names, `used` those that the view reads.

    Raises UsageError where its key is not the root's, or where its joins make several rows of one key.
    """
    texts = view_texts.read(connection, view, {*used, root})
    proof = Proof(root, used, analyse(texts, view, root, declared.key))
    _check_key(declared, proof, follow)
    if proof.analysis.several:
        what = f"there can be several rows for one key: {proof.analysis.several}"
        declared.place.at("query" if declared.query else "document").fail(what, SEVERAL)
    return proof


def _check_key(declared: Declaration, proof: Proof, follow: Sequence[Follow]) -> None:
    place, analysis = declared.place.at("key"), proof.analysis
    if analysis.wrong_key:
        names = ", ".join(declared.key)
        hint = f"write {names} of {proof.root} into the view under this name, as it is"
        place.fail(f"it is not that of {proof.root}: in the view {brief(analysis.wrong_key, 300)}", hint)
    said = any(each.table == proof.root and (each.key == declared.key or each.all) for each in follow)
    if analysis.unknown_key and not said:
        block = _follow_lines(declared.place, proof.root, f"key = {list(declared.key)}".replace("'", '"'))
        what = f"it is not clear that it is that of {proof.root}: {analysis.unknown_key}"
        place.fail(what, UNKNOWN, block=block)


def follows(
    connection: Connection, place: Place, proof: Proof, key: Sequence[str], named: Collection[Relation]
) -> list[Follow]:
    """How the tables that are not `named` are followed, by the view's own joins.

    Raises UsageError with a block to paste for all that cannot be.
    """
    above = dependencies.ancestors(connection, set(proof.used), proof.analysis.read)
    found: list[Follow] = []
    missing: dict[Relation, str] = {}
    for table in sorted({*proof.used, proof.root} - {*named}, key=str):
        if (kind := catalog.kind(connection, table)) not in catalog.TABLES:
            what = catalog.WORDS[kind] if kind else "which is gone"
            place.fail(f"the view reads {table}, {what}", "put it into `ignore`, or read a table")
        text = table if table in proof.analysis.read else above.get(table, table)
        ways, columns = list(proof.analysis.follows.get(text, ())), fields(connection, table)
        if text == proof.root != table:
            ways.insert(0, KeyPath(key=tuple(key)))
        if why := _why_not(proof, table, text, ways, columns):
            missing[table] = why
            continue
        for way in ways:
            needed = [*way.key, *way.parameters]
            counted = counting(proof.used.get(table, frozenset()), needed)
            types = tuple(parameter_types(needed, columns).values())
            found.append(Follow(table, way.key, way.keys, way.parameters, counted, types))
    if missing:
        what = "; ".join(f"{table}, and nothing follows it: {why}" for table, why in missing.items())
        lines = [_follow_lines(place, table, "all = true", why) for table, why in missing.items()]
        raise UnprovenError(f"{place}: the view reads {what}", block="\n".join(lines), tables=[*missing])
    return found


def _why_not(
    proof: Proof, table: Relation, text: Relation, ways: Sequence[KeyPath], columns: Sequence[Field]
) -> str:
    """Why a table is not followed by itself; empty where it is. `text` is its name in the view's text."""
    if text not in proof.analysis.read and table != proof.root:
        return "the view's text does not show where it is read"
    if unproven := proof.analysis.unproven.get(text):
        return "; ".join(unproven)
    used = {name for way in ways for name in (*way.key, *way.parameters)} & virtual(columns).keys()
    names = brief(", ".join(sorted(used)), 200)
    return f"it is joined by {names}, a virtual generated column: no trigger can read it" if used else ""


def counting(columns: Collection[str], needed: Sequence[str]) -> tuple[str, ...]:
    """Columns whose change counts, those of the key among them; none of them means all."""
    return tuple(sorted({*columns, *needed})) if columns else ()


def _follow_lines(place: Place, table: Relation, how: str, why: str = "") -> str:
    parts = (table.schema, table.name)
    name = ".".join(each if PLAIN.fullmatch(each) else Identifier(each).as_string() for each in parts)
    said = f"  # {brief(why, 200)}" if why else ""
    return f"[[{place.table}.follow]]{said}\ntable = {quoted(name)}\n{how}\n"
