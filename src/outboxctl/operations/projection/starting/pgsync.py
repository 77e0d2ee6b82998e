"""Starting declarations from pgsync's schema file: a tree of tables, whose documents have the same nesting.

What has no counterpart is not taken over, and named in a comment: plugins, unknown transforms and keys.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import catalog, indexes
from outboxctl.core.projections.fields import Field, fields
from outboxctl.core.projections.foreign_keys import Step, constraints
from outboxctl.core.projections.tree import NestedRows, Value
from outboxctl.core.projections.tree_sql import Writer
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import files, followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting import init, pgsync_values
from outboxctl.operations.projection.starting.text import HEAD, Start, properties

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

Json = dict[str, Any]
DOCUMENT = ("database", "index", "nodes", "mapping", "mappings", "setting", "routing", "pipeline")
NODE = ("table", "schema", "columns", "label", "primary_key", "relationship", "children", "transform")
RELATIONSHIP = ("variant", "type", "through_tables", "foreign_key")
TRANSFORMS = ("rename", "replace", "concat", "mapping")
INDEX_WORDS = ("dynamic", "dynamic_templates", "date_detection", "numeric_detection")  # of a whole mapping
VARIANTS, TYPES = ("object", "scalar"), ("one_to_one", "one_to_many")


def read(path: FilePath) -> list[Json]:
    """The documents of a schema file. UsageError for what is no such file."""
    place = Place(str(path))
    try:
        content = json.loads(files.text(place, path))
    except (ValueError, RecursionError) as error:
        place.fail(f"not JSON: {error}")
    documents = [content] if isinstance(content, dict) else content
    if not isinstance(documents, list) or not documents or not all(isinstance(d, dict) for d in documents):
        place.fail("it holds no documents", "pgsync's schema file is a list of objects with `nodes`")
    return documents


def starts(
    connection: "Connection", path: FilePath, *, name: str = "", index: str = "", built_in: str = ""
) -> list[Start]:
    """The start of each document of the file; `name` and `index` are for a file with one.

    Raises UsageError with the file, the place in it and what is wrong.
    """
    documents = read(path)
    if len(documents) > 1 and (name or index):
        raise UsageError(
            f"{path}: {len(documents)} documents", hint="--name and --index are for a file with one"
        )
    made = []
    for number, document in enumerate(documents, 1):
        place = Place(str(path)) if len(documents) == 1 else Place(str(path), f"document {number}")
        made.append(
            _start(SchemaReading(connection, place), document, name=name, index=index, built_in=built_in)
        )
    if len({each.name for each in made}) < len(made):
        raise UsageError(f"{path}: two documents have one name", hint="convert them by files of their own")
    return made


def _start(reading: "SchemaReading", document: Json, *, name: str, index: str, built_in: str) -> Start:
    place, connection = reading.place, reading.connection
    nodes = place.value(document, "nodes", dict, "an object")
    given = place.text(document, "index") or place.text(document, "database")
    reading.unknown(place, document, DOCUMENT)
    root, key = reading.root(nodes)
    writer = Writer(connection, empty=False)
    name = init.chosen_name(name, given or root.table.name)
    start = Start(
        name,
        writer.relation(root.table),
        key,
        init.chosen_index(index or given or name.lstrip("_"), built_in),
        writer.select(root),
        _body(place, document, root),
        routing=_routing(place.text(document, "routing"), root, key),
        pipeline=place.text(document, "pipeline"),
        follow=list(init.follows(connection, root, key, writer)),
        notes=[HEAD, *reading.notes],
    )
    return init.checked(connection, start)


def _routing(name: str, root: NestedRows, key: Sequence[str]) -> str:
    """The routing, or the column of the key that it is a copy of: the key then determines the shard."""
    value = root.values.get(name)
    return next((column for column in key if value and root.values[column] == value), name)


def _body(place: Place, document: Json, root: NestedRows) -> Json:
    """What pgsync makes an index with: its mapping is that of the nodes, or else that of the document."""
    fields_, body = properties(root), {}
    given = _of_objects(place, document, "mappings") or _of_objects(place, document, "mapping")
    inner = given.get("properties")
    mappings = (
        dict(given) if isinstance(inner, dict) or "dynamic_templates" in given else {"properties": given}
    )
    declared = mappings.get("properties", {})
    if settings := _objects(place, document, "setting"):
        body["settings"] = settings
    return body | {"mappings": mappings | {"properties": pgsync_values.merged(fields_, declared)}}


def _objects(place: Place, table: Json, name: str) -> Json:
    given = table.get(name) or {}
    if not isinstance(given, dict):
        place.at(name).fail(f"it must be an object, not {shown(given)}")
    return given


def _of_objects(place: Place, table: Json, name: str) -> Json:
    """Fields of an index by their names, or what such an object is in."""
    given = _objects(place, table, name)
    for key, value in given.items():
        if not isinstance(value, dict) and key not in INDEX_WORDS:
            place.at(name).at(str(key)).fail(f"it must be an object, not {shown(value)}")
    return given


@dataclass
class SchemaReading:
    """Reads nodes into a tree; `notes` are what was not taken over."""

    connection: "Connection"
    place: Place
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keys = constraints(self.connection)

    def root(self, nodes: Json) -> tuple[NestedRows, tuple[str, ...]]:
        """The tree, and the key of its documents, whose columns are in them."""
        place = self.place.at("nodes")
        node, columns = self._node(place, nodes)
        key = place.texts(nodes, "primary_key", several=False) or indexes.primary_key(
            self.connection, node.table
        )
        if not key:
            place.fail(f"{node.table} has no primary key", init.NO_KEY)
        for name in key:
            followed.check_column(place.at("primary_key"), name, node.table, list(columns))
        missing = [name for name in key if node.values.get(name) != _value(columns[name])]
        node.values = {name: _value(columns[name]) for name in missing} | node.values
        self.notes += [f"Added to the document: {name}, which is its key" for name in missing]
        if len(key) > 1:
            self.notes.append("The ids of documents join the key's columns by `:`; pgsync joins them by `|`")
        node.children = self._children(place, nodes, node)
        if taken := [child.label for child in node.children if child.label in key]:
            place.at("children").fail(f"{shown(taken[0])} is the label of a child, and a column of the key")
        return node, key

    def unknown(self, place: Place, given: Json, known: Sequence[str]) -> None:
        """Note what is not taken over."""
        self.notes += [
            f"Not taken over: {place.at(str(name)).key} {json.dumps(given[name], ensure_ascii=False)}"
            for name in given
            if name not in known
        ]

    def _node(self, place: Place, given: Json) -> tuple[NestedRows, dict[str, Field]]:
        self.unknown(place, given, NODE)
        table = self._table(place.at("table"), given, place.text(given, "table", needed=True))
        columns = {each.name: each for each in fields(self.connection, table)}
        transform = _objects(place, given, "transform")
        self.unknown(place.at("transform"), transform, TRANSFORMS)
        made = pgsync_values.Values(place, table, columns, transform)
        node = NestedRows(
            table, place.text(given, "label") or table.name, made.of(place.texts(given, "columns"))
        )
        node.mapping = _of_objects(place.at("transform"), transform, "mapping")
        self.notes += made.notes
        primary = place.texts(given, "primary_key", several=False) or indexes.primary_key(
            self.connection, table
        )
        node.order = tuple(name for name in primary if name in columns) or tuple(columns)[:1]
        return node, columns

    def _children(self, place: Place, given: Json, above: NestedRows) -> list[NestedRows]:
        listed, here = given.get("children") or [], place.at("children")
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            here.fail(f"it must be a list of objects, not {shown(listed)}")
        return [
            self._child(Place(place.file, place.table, f"{here.key}[{number}]"), each, above)
            for number, each in enumerate(listed, 1)
        ]

    def _child(self, place: Place, given: Json, above: NestedRows) -> NestedRows:
        node, _ = self._node(place, given)
        here, relationship = place.at("relationship"), place.value(given, "relationship", dict, "an object")
        self.unknown(here, relationship, RELATIONSHIP)
        kind, variant = (
            _one_of(here, relationship, *each) for each in (("type", TYPES), ("variant", VARIANTS))
        )
        node.many, node.scalar = kind == "one_to_many", variant == "scalar"
        node.steps = self._steps(here, relationship, node.table, above.table)
        first = node.steps[0]
        node.single = len(node.steps) == 1 and indexes.is_unique(self.connection, first.here, first.columns)
        above.values.pop(node.label, None)
        node.children = [] if node.scalar else self._children(place, given, node)
        if node.scalar and given.get("children"):
            self.notes.append(f"Not taken over: {place.key}.children, beneath a scalar")
        return node

    def _steps(self, place: Place, relationship: Json, table: Relation, above: Relation) -> tuple[Step, ...]:
        through = place.texts(relationship, "through_tables")
        if len(through) > 1:
            place.at("through_tables").fail(f"{len(through)} tables", "pgsync takes one")
        if not through:
            named = relationship.get("foreign_key")
            return (self._named(place, named, table, above) if named else self._step(place, table, above),)
        if "foreign_key" in relationship:
            self.notes.append(f"Not taken over: {place.key}.foreign_key, beside through_tables")
        first, _, rest = through[0].partition(".")
        schema, name = (first, rest) if rest else (table.schema, first)
        link = self._table(place.at("through_tables"), {"schema": schema}, name)
        return self._step(place, table, link), self._step(place, link, above)

    def _step(self, place: Place, here: Relation, there: Relation) -> Step:
        """The only foreign key between two tables, whichever of them has it."""
        down = [key for key in self._keys if (key.here, key.there) == (here, there)]
        up = [key.back() for key in self._keys if (key.here, key.there) == (there, here) and here != there]
        if len(found := down + up) != 1:
            place.fail(
                f"{len(found) or 'no'} foreign keys are between {here} and {there}",
                'name its columns: "foreign_key": {"child": […], "parent": […]}',
            )
        return found[0]

    def _named(self, place: Place, named: Any, here: Relation, there: Relation) -> Step:
        at = place.at("foreign_key")
        if not isinstance(named, dict):
            at.fail(f"it must be an object, not {shown(named)}")
        columns = [at.texts(named, part, several=False) for part in ("child", "parent")]
        if len({len(each) for each in columns}) > 1 or not columns[0]:
            at.fail("`child` and `parent` must name as many columns each")
        for table, names in zip((here, there), columns, strict=True):
            for name in names:
                followed.check_column(at, name, table, [f.name for f in fields(self.connection, table)])
        return Step(here, columns[0], there, columns[1])

    def _table(self, place: Place, given: Json, name: str) -> Relation:
        table = Relation(str(given.get("schema") or "public"), name)
        if catalog.kind(self.connection, table) not in followed.TABLES:
            place.fail(
                f"there is no table {table}", "a view cannot be followed: name the tables that it reads"
            )
        return table


def _one_of(place: Place, given: Json, key: str, known: Sequence[str]) -> str:
    value = place.text(given, key, needed=True)
    if value not in known:
        place.at(key).fail(f"{shown(value)} is none of {', '.join(known)}")
    return value


def _value(column: Field) -> Value:
    return Value(column.name, column.kind, column.listed)
