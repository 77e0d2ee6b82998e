"""A declaration against the database: tables, columns, types and keys that are there, as a `Projection`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from outboxctl.core.projections import catalog, indexes, pages, scratch, sweeps
from outboxctl.core.projections.catalog import LONGEST_WITH_QUERY, Kind, view_name
from outboxctl.core.projections.change_costs import DocumentsBehind
from outboxctl.core.projections.fields import Field, fields
from outboxctl.core.projections.view_texts import definition
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.search_path import quoted
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from outboxctl.operations.projection import followed, mapping
from outboxctl.operations.projection.analysis.analyse import Analysis
from outboxctl.operations.projection.analysis.keys import TableKey
from outboxctl.operations.projection.contents import Unknown, contents
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.notices import Notice, notices, routing_cost
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.place import quoted as toml_text
from outboxctl.sink.engines import DENSE, Vectors

KEY_KINDS = ("uuid", "int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "date", "enum")
ONE_OR_OTHER = (
    "a row's version may be lower after a restore: leave `version` out, and documents have the snapshot's"
)
VERSION_KINDS = ("int2", "int4", "int8")
KEY_HINT = "a key is of type uuid, smallint, integer, bigint, numeric, text, varchar, char, date or an enum"


@dataclass(frozen=True)
class PlanStep:
    """One thing to do. `what`: view, triggers, declaration, documents, index, mapping or rebuild.

    `command` does what `apply` does not.
    """

    what: str
    text: str
    command: str = ""


@dataclass
class Planned:
    """A projection that can be applied, and what there is to do for it.

    `looked_at` is the view, or a temporary one of its `query`, `body` is what it needs of its index, `whole`
    the same with what those need that it `shares` the index with, `vectors` how its engine has them, `before`
    what is in force. `scripts` changes the database, `lacking` are, by index, fields that its mapping gets,
    in place, of one that is made none; `tampered` says what is not as it was put in force, so that documents
    may be wrong. `new_index`: it holds no document of before. `behind` are the documents behind a changed row
    of each followed table.
    """

    declaration: Declaration
    projection: Projection
    looked_at: Relation
    body: dict[str, Any]
    analysis: Analysis
    notices: list[Notice]
    vectors: Vectors
    shares: list[str] = field(default_factory=list)
    whole: dict[str, Any] = field(default_factory=dict)
    before: Projection | None = None
    scripts: list[str] = field(default_factory=list)
    steps: list[PlanStep] = field(default_factory=list)
    lacking: dict[str, dict[str, Any]] = field(default_factory=dict)
    tampered: list[str] = field(default_factory=list)
    new_index: bool = False
    behind: Sequence[DocumentsBehind | None] = ()

    def step(self, what: str, text: str, command: str = "") -> None:
        """Add a thing to do."""
        self.steps.append(PlanStep(what, text, command))

    def declare_sql(self, schema: str, by: str | None) -> str:
        """SQL that puts it in force; `by` None: the login."""
        anyway = bool(self.tampered or (self.before and self.before.former_id))
        new = self.new_index
        return sweeps.declare_sql(schema, self.projection, by, anyway=anyway, new_index=new)


def resolve(
    connection: Connection,
    declared: Declaration,
    *,
    schema: str,
    with_triggers: bool = True,
    vectors: Vectors = DENSE,
) -> Planned:
    """Look everything up; `schema` is that of the outbox. A view that we make is made for a look only.

    `vectors` are those of the engine.

    Raises UsageError with the file, the place and what is wrong.
    """
    place = declared.place
    lines = partial(followed.root_lines, connection, declared.key)
    table = followed.relation(connection, place.at("root"), declared.root, lines=lines)
    for name in declared.key:
        known = [each.name for each in fields(connection, table)]
        followed.check_column(place.at("key"), name, table, known)
    _refuse_id(connection, declared, table)
    root = TableKey(table, declared.key)
    made = Relation(schema, view_name(declared.name))
    view = _document(connection, declared, made)
    columns = fields(connection, view)
    key = _key(connection, declared, table, columns)
    _check_fields(declared, view, columns, vectors)
    _check_together(declared)
    root_columns, follow, ignored, proof = followed.tables(
        connection, declared, root, key, view, with_triggers=with_triggers
    )
    body, objects, unknown = _body(connection, declared, columns, proof.analysis, vectors)
    projection = Projection(
        name=declared.name,
        root=table,
        key=key,
        document=made if declared.query else view,
        index=declared.index,
        id_prefix=declared.id_prefix,
        columns=root_columns,
        follow=tuple(sorted((each.named() for each in follow), key=lambda each: each.name)),
        routing=declared.routing,
        pipeline=declared.pipeline,
        mapping=json.dumps(declared.mapping, sort_keys=True) if declared.mapping else "",
        view=definition(connection, view),
        triggers=with_triggers,
        ignore=tuple(sorted(ignored, key=str)),
        version=declared.version,
        column=declared.column,
        body=json.dumps(body, sort_keys=True) if declared.column else "",
        skip_unchanged=declared.skip_unchanged,
        vectors=tuple(each.name for each in columns if mapping.is_vector(each)),
        objects=json.dumps(objects, sort_keys=True) if objects else "",
        family=declared.family,
        schema=declared.schema,
    )
    _check_rows(connection, declared, replace(projection, document=view))
    found = notices(connection, projection, view, proof.analysis, unknown)
    found += routing_cost(projection, body["settings"])
    return Planned(declared, projection, view, body, proof.analysis, found, vectors)


def _check_rows(connection: Connection, declared: Declaration, projection: Projection) -> None:
    """Raise UsageError where a key has several rows, or the owner of the outbox may not read the `query`."""
    place = declared.place.at("query" if declared.query else "document")
    if declared.query:
        try:
            pages.check_rights(connection, projection)
        except ReadRefusedError as error:
            if error.denied:
                place.fail(error.words, "GRANT SELECT ON … TO the owner of the outbox, who owns the view")
    several = pages.several(connection, projection)
    if several is not None:
        hint = "a document is one row: aggregate the others (json_agg), or join them by a unique key"
        place.fail(f"it has more than one row for the key {shown(several)}", hint)


def _document(connection: Connection, declared: Declaration, made: Relation) -> Relation:
    """The view, or a temporary one of the `query`, of which `made` will be made: `drop` takes that away."""
    if not declared.query:
        place = declared.place.at("document")
        view = followed.relation(connection, place, declared.document, (*catalog.TABLES, Kind.VIEW))
        if view == made:
            place.fail(f"{made} is the name of the view that `query` makes", "give yours another name")
        return view
    if len(declared.name) > LONGEST_WITH_QUERY:
        declared.place.fail(f"with `query` a name has at most {LONGEST_WITH_QUERY} characters")
    try:
        return scratch.temporary_view(connection, declared.name, declared.query)
    except UsageError as error:
        declared.place.at("query").fail(str(error), error.hint)


def _body(
    connection: Connection,
    declared: Declaration,
    columns: Sequence[Field],
    analysis: Analysis,
    vectors: Vectors,
) -> tuple[dict[str, Any], dict[str, Any], list[Unknown]]:
    """The body of the index, the fields in objects that it has of the view, and what no search finds."""
    objects, unknown = contents(connection, columns, analysis.view)
    owner = declared.name if declared.column else ""
    body = mapping.body(columns, declared.mapping, objects, vectors, owner)
    if objects and (size := mapping.too_many(body)):
        why = f"an index with them has {size:,} fields, and {mapping.MOST_FIELDS} in `settings` is lower"
        unknown, objects = [Unknown((name,), why) for name in objects], {}
        body = mapping.body(columns, declared.mapping, objects, vectors, owner)
    given = declared.mapping.get("mappings", {})
    return body, objects, [each for each in unknown if not mapping.declared(each.path, given)]


def _key(
    connection: Connection, declared: Declaration, root: Relation, document: Sequence[Field]
) -> tuple[KeyColumn, ...]:
    place, columns = declared.place.at("key"), {each.name: each for each in fields(connection, root)}
    for name in declared.key:
        followed.check_column(place, name, declared.document or "the query", [each.name for each in document])
        _check_type(place, columns[name])
        if not columns[name].not_null:
            place.fail(f"{shown(name)} can be NULL", "a key is NOT NULL")
        shown_as, type_ = next(each for each in document if each.name == name), columns[name].type
        if shown_as.type != type_ or shown_as.listed:
            place.fail(f"{shown(name)} is {type_} in {root} and {shown_as.type} in the document")
    if not indexes.is_unique(connection, root, declared.key):
        hint = "it needs a primary key, or a unique constraint whose columns are NOT NULL"
        place.fail(f"{', '.join(map(shown, declared.key))} is not unique in {root}", hint)
    return tuple(KeyColumn(name, columns[name].type) for name in declared.key)


def _refuse_id(connection: Connection, declared: Declaration, root: Relation) -> None:
    """Raise UsageError for the former option `id`, with what to write in its place."""
    if not (name := declared.former_id):
        return
    column = next((each for each in fields(connection, root) if each.name == name), None)
    line, alter = f"key = {toml_text(name)}", f"ALTER TABLE {root}"
    if declared.key == (name,):
        hint = "leave the line out"
    elif column and column.not_null and indexes.is_unique(connection, root, [name]):
        hint = f"in place of `id` and `key` write {line}"
    elif column:
        alter = f"{alter} ALTER {quoted(name)} SET NOT NULL, ADD UNIQUE ({quoted(name)})"
        hint = f"{alter}; then write {line} in place of `id` and `key`"
    else:
        computed = "GENERATED ALWAYS AS (…) STORED"
        hint = (
            f"keep the value in a column of {root} (ADD {quoted(name)} … {computed} NOT NULL UNIQUE), which"
            f" the view returns; then write {line} in place of `id` and `key`"
        )
    declared.place.at("id").fail("a document's `_id` is its key: `id` is not supported any more", hint)


def _check_together(declared: Declaration) -> None:
    """Raise UsageError for options that exclude each other."""
    if declared.column and declared.skip_unchanged:
        what = "not together with an index that a column chooses"
        declared.place.at("skip_unchanged").fail(what, "which of its indexes was made anew is not known")
    if declared.version and (declared.skip_unchanged or declared.column):
        key = "skip_unchanged" if declared.skip_unchanged else "index"
        declared.place.at(key).fail("not together with `version`", ONE_OR_OTHER)


def _check_fields(declared: Declaration, view: Relation, columns: Sequence[Field], vectors: Vectors) -> None:
    for key, name in (("routing", declared.routing), ("index", declared.column)):
        place = declared.place.at(key)
        followed.check_column(place, name, view, [each.name for each in columns])
        if any(each.name == name and (each.listed or each.kind == "json") for each in columns):
            place.fail(f"{shown(name)} is a list or an object", f"`{key}` takes one value of a document")
    _check_version(declared, columns)
    for name, what in mapping.misfits(columns, declared.mapping, vectors):
        hint = "the engine would refuse each document: correct the field, or leave it out"
        declared.place.at(f"mapping.mappings.properties.{brief(name, 200)}").fail(what, hint)


def _check_version(declared: Declaration, columns: Sequence[Field]) -> None:
    name, of = declared.version, declared.document or "the query"
    if not name:
        return
    place, found = declared.place.at("version"), next((c for c in columns if c.name == name), None)
    hint = f"it grows with each change of the document; in the SELECT: COLUMN::bigint AS {quoted(name)}"
    if found is None:
        followed.check_column(place, name, of, [each.name for each in columns], hint)
    elif found.kind not in VERSION_KINDS or found.listed:
        place.fail(f"{shown(name)} is {found.type}{'[]' if found.listed else ''} in {of}", hint)


def _check_type(place: Place, column: Field) -> None:
    if column.kind not in KEY_KINDS or column.listed:
        place.fail(f"{shown(column.name)} is {column.type}{'[]' if column.listed else ''}", KEY_HINT)
    if not column.deterministic:
        why = "has a collation in which different texts are equal: one row would have two documents"
        place.fail(f"{shown(column.name)} {why}")
