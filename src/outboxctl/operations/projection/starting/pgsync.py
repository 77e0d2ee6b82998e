"""Starting declarations from pgsync's schema file: a tree of tables, whose documents have the same nesting.

What has no counterpart, such as a plugin, is not taken over, and named in a comment. What would be another
document in silence is refused, all of it at once.
"""

from pathlib import Path as FilePath

from outboxctl.core.projections import catalog
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Value, Writer
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import NotPermittedError, UsageError
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting import init, pgsync_file
from outboxctl.operations.projection.starting.init import HEAD, Start
from outboxctl.operations.projection.starting.pgsync_file import (
    TOP,
    Json,
    Problems,
    left_over,
    read,
    resolved,
)
from outboxctl.operations.projection.starting.pgsync_nodes import NodeReading, plain

TEXTS = ("database", "index", "routing", "pipeline")
RENAME = "its field of that name is the key: give the other one another name in a copy of the file"


def starts(connection: Connection, path: FilePath) -> list[Start]:
    """The start of each document of the file.

    Raises UsageError with the file, the place in it and what is wrong: ManyError with all of them.
    """
    documents = read(path)
    problems, made = Problems(), list[Start]()
    for number, document in enumerate(documents, 1):
        place = Place(str(path)) if len(documents) == 1 else Place(str(path), f"document {number}")
        with problems.noted():
            made.append(_start(connection, place, document))
    problems.check()
    if len({each.name for each in made}) < len(made):
        raise UsageError(f"{path}: two documents have one name", hint="convert them by files of their own")
    return made


def _start(connection: Connection, place: Place, document: Json) -> Start:
    reading, texts = NodeReading(connection, Problems()), dict.fromkeys(TEXTS, "")
    for key in TEXTS:
        with reading.problems.noted():
            texts[key] = resolved(place, document, key)
    root, key_, body, routing = _root(reading, place, document, texts["routing"])
    writer, given = Writer(connection, empty=False), texts["index"] or texts["database"]
    name, lost = init.valid_name(given or root.table.name), left_over(place, document, TOP)
    notes, here = [HEAD], catalog.database(connection)
    if texts["database"] not in ("", here):
        notes += [f"The file is of the database {texts['database']}, and these tables are those of {here}"]
    start = Start(
        name,
        writer.relation(root.table),
        key_,
        given or name.lstrip("_"),
        writer.select(root),
        body,
        routing=routing,
        pipeline=texts["pipeline"],
        notes=[*notes, *lost, *reading.notes],
    )
    try:
        return init.checked(connection, start)
    except NotPermittedError:
        raise
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _root(
    reading: NodeReading, place: Place, document: Json, routing: str
) -> tuple[NestedRows, tuple[str, ...], Json, str]:
    """The tree, the key of its documents, the index's body, the routing. Raises all errors."""
    root, key, body, problems = None, tuple[str, ...](), Json(), reading.problems
    with problems.noted():
        nodes = place.value(document, "nodes", dict, "an object")
        root = reading.node(place.at("nodes"), nodes)
    if root is None:
        raise problems.error()
    with problems.noted():
        key = _put_key(reading, place.at("nodes"), nodes, root)
    with problems.noted():
        body = pgsync_file.body(place, document, root)
    with problems.noted():
        if routing and routing not in root.values:
            followed.check_column(place.at("routing"), routing, "the document", list(root.values))
        # A copy of a column of the key: the key determines the shard then.
        value = root.values.get(routing)
        routing = next((column for column in key if value and root.values[column] == value), routing)
    problems.check()
    return root, key, body, routing


def _put_key(reading: NodeReading, place: Place, nodes: Json, root: NestedRows) -> tuple[str, ...]:
    """The key, whose columns are put into the document as they are."""
    key = reading.tables.key(place, nodes, root.table)
    if not key:
        place.fail(f"{root.table} has no primary key", init.NO_KEY)
    columns = {each.name: plain(each) for each in fields(reading.connection, root.table)}
    for name in key:
        followed.check_column(place.at("primary_key"), name, root.table, list(columns))
        with reading.problems.noted():
            if name in {each.label for each in root.children}:
                what = f"{shown(name)} is the label of a child, and a column of the key"
                place.at("children").fail(what, RENAME)
            if (value := root.values.get(name, columns[name])) != columns[name]:
                what = f"{shown(name)}, a column of the key, would hold {_what(value)}"
                place.at("transform").fail(what, RENAME)
    missing = [name for name in key if name not in root.values]
    root.values = {name: columns[name] for name in missing} | root.values
    reading.notes += [f"Added to the document: {name}, which is its key" for name in missing]
    if len(key) > 1:
        reading.notes.append("The ids of documents join the key's columns by `:`; pgsync joins them by `|`")
    return key


def _what(value: Value) -> str:
    if value.joined:
        return "a joined text"
    return f"{shown(value.column)} with texts replaced" if value.replace else shown(value.column)
