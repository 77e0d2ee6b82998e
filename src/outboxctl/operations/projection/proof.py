"""What a view's text must prove before its projection is put in force, and the follows that it proves."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import Identifier

from outboxctl.core.projections import catalog, dependencies, view_texts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import Field, fields, parameter_types, virtual
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Relation
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import KeyPath, TableKey
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
INSTEAD = {
    Kind.MATERIALIZED_VIEW: "read its tables in its place; or write what is below, and have whoever refreshes"
    " it update that row in the same transaction: every document is read again then",
    Kind.FOREIGN_TABLE: "read a table with a copy of its rows; or write what is below, and run `outboxctl"
    " verify --repair` when its rows have changed",
}
REFRESHED = "a table of one row, that you make for this"
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class UnprovenError(UsageError):
    """Tables of which the view does not prove how their changes reach documents."""

    def __init__(self, message: str, *, block: str, tables: Sequence[Relation]) -> None:
        super().__init__(message, hint=MISSING, block=block)
        self.tables = tables


@dataclass(frozen=True)
class Proof:
    """What is proved of a view: `used` are the tables that it reads, with the columns of each.

    `root`: the table of its documents, with its key.
    """

    root: TableKey
    used: Mapping[Relation, frozenset[str]]
    analysis: Analysis


def prove(
    connection: Connection,
    declared: Declaration,
    root: TableKey,
    view: Relation,
    follow: Sequence[Follow],
    *,
    used: Mapping[Relation, frozenset[str]],
) -> Proof:
    """Analyse a view; `follow` are the tables that the declaration names, `used` those that the view reads.

    Raises UsageError where its key is not the root's, or where its joins make several rows of one key.
    """
    texts = view_texts.read(connection, view, {*used, root.table})
    proof = Proof(root, used, analyse(texts, view, root))
    _check_key(declared, proof.analysis, root, follow)
    if proof.analysis.several:
        what = f"there can be several rows for one key: {proof.analysis.several}"
        declared.place.at("query" if declared.query else "document").fail(what, SEVERAL)
    return proof


def _check_key(declared: Declaration, analysis: Analysis, root: TableKey, follow: Sequence[Follow]) -> None:
    place, (table, own) = declared.place.at("key"), root
    if analysis.wrong_key:
        hint = f"write {', '.join(own)} of {table} into the view under this name, as it is"
        place.fail(f"it is not that of {table}: in the view {brief(analysis.wrong_key, 300)}", hint)
    said = any(each.table == table and (each.key == own or each.all) for each in follow)
    if analysis.unknown_key and not said:
        block = follow_lines(declared.place, table, f"key = {list(own)}".replace("'", '"'))
        what = f"it is not clear that it is that of {table}: {analysis.unknown_key}"
        place.fail(what, UNKNOWN, block=block)


def follows(connection: Connection, place: Place, proof: Proof, named: Collection[Relation]) -> list[Follow]:
    """How the tables that are not `named` are followed, by the view's own joins.

    Raises UsageError with a block to paste for all that cannot be.
    """
    analysis, root = proof.analysis, proof.root.table
    above = dependencies.ancestors(connection, set(proof.used), analysis.read)
    found: list[Follow] = []
    missing: dict[Relation, str] = {}
    for table in sorted({*proof.used, root} - {*named}, key=str):
        text = table if table in analysis.read else above.get(table, table)
        _require_table(connection, place, table)
        ways, columns = list(analysis.follows.get(text, ())), fields(connection, table)
        if text == root != table:
            ways.insert(0, KeyPath(key=proof.root.columns))
        if why := _why_not(proof, text, ways, columns):
            missing[table] = why
            continue
        for way in ways:
            needed = [*way.key, *way.parameters]
            counted = counting(proof.used.get(table, frozenset()), needed)
            types = tuple(parameter_types(needed, columns).values())
            found.append(Follow(table, way.key, way.keys, way.parameters, counted, types))
    if missing:
        what = "; ".join(f"{table}, and nothing follows it: {why}" for table, why in missing.items())
        lines = [follow_lines(place, table, "all = true", why) for table, why in missing.items()]
        raise UnprovenError(f"{place}: the view reads {what}", block="\n".join(lines), tables=[*missing])
    return found


def _why_not(proof: Proof, text: Relation, ways: Sequence[KeyPath], columns: Sequence[Field]) -> str:
    """Why a table is not followed by itself; empty where it is. `text` is its name in the view's text."""
    if text not in proof.analysis.read | {proof.root.table}:
        return "the view's text does not show where it is read"
    if unproven := proof.analysis.unproven.get(text):
        return "; ".join(unproven)
    used = {name for way in ways for name in (*way.key, *way.parameters)} & virtual(columns).keys()
    names = brief(", ".join(sorted(used)), 200)
    return f"it is joined by {names}, a virtual generated column: no trigger can read it" if used else ""


def _require_table(connection: Connection, place: Place, table: Relation) -> None:
    """Raise UsageError for what a view reads and no trigger can be on, with what to do instead."""
    kind = catalog.kind(connection, table)
    if kind in catalog.TABLES:
        return
    block = f"ignore = [{toml_name(table)}]\n"
    if kind is Kind.MATERIALIZED_VIEW:
        block += f"\n{follow_lines(place, Relation(table.schema, 'refreshed'), 'all = true', REFRESHED)}"
    what, hint = (catalog.WORDS[kind], INSTEAD[kind]) if kind else ("which is gone", "")
    place.fail(f"the view reads {table}, {what}", hint, block=block)


def counting(columns: Collection[str], needed: Sequence[str]) -> tuple[str, ...]:
    """Columns whose change counts, those of the key among them; none of them means all."""
    return tuple(sorted({*columns, *needed})) if columns else ()


def follow_lines(place: Place, table: Relation, how: str, why: str = "") -> str:
    """Return the lines of a declaration that follow a table; `why` becomes a comment."""
    said = f"  # {brief(why, 200)}" if why else ""
    return f"[[{place.table}.follow]]{said}\ntable = {toml_name(table)}\n{how}\n"


def toml_name(table: Relation) -> str:
    """The name of a table as a declaration has it."""
    parts = (table.schema, table.name)
    return quoted(".".join(each if PLAIN.fullmatch(each) else Identifier(each).as_string() for each in parts))
