"""Starting declarations from pgsync's schema file: a tree of tables, whose documents have the same nesting.

What has no counterpart, such as a plugin, is not taken over, and named in a comment. What would be another
document in silence is refused, all of it at once.
"""

from pathlib import Path as FilePath

from outboxctl.core.projections import catalog
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Writer
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import ManyError, NotPermittedError, UsageError
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting import init
from outboxctl.operations.projection.starting.init import HEAD, Start
from outboxctl.operations.projection.starting.pgsync_file import Document, Json, body, read
from outboxctl.operations.projection.starting.pgsync_nodes import NodeReading, Problems, plain

RENAME = "its field of that name is the key: give the other one another name in a copy of the file"


def starts(connection: Connection, path: FilePath) -> list[Start]:
    """The start of each document of the file.

    Raises UsageError with the file, the place in it and what is wrong: ManyError with all of them.
    """
    problems, made = Problems(), list[Start]()
    for place, document in read(path):
        with problems.noted():
            made.append(_start(connection, place, document))
    problems.check()
    if len({each.name for each in made}) < len(made):
        raise UsageError(f"{path}: two documents have one name", hint="convert them by files of their own")
    return made


def _start(connection: Connection, place: Place, document: Document) -> Start:
    reading = NodeReading(connection)
    problems, nodes = reading.problems, place.at("nodes")
    key, mapping, routing = tuple[str, ...](), Json(), document.routing
    root = reading.node(nodes, document.nodes)
    if root is None:
        raise ManyError(problems.found)
    with problems.noted():
        key = _put_key(reading, nodes, document, root)
    with problems.noted():
        mapping = body(place, document, root)
    with problems.noted():
        routing = _routing(place.at("routing"), routing, root, key)
    problems.check()
    name = init.valid_name(document.index or document.database or root.table.name)
    writer, here = Writer(connection, empty=False), catalog.database(connection)
    notes = [HEAD]
    if document.database not in ("", here):
        notes += [f"The file is of the database {document.database}, and these tables are those of {here}"]
    start = Start(
        name,
        writer.relation(root.table),
        key,
        document.index or document.database or name.lstrip("_"),
        writer.select(root),
        mapping,
        routing=routing,
        pipeline=document.pipeline,
        notes=[*notes, *document.left_over(place), *reading.notes],
    )
    try:
        return init.checked(connection, start)
    except NotPermittedError:
        raise
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _routing(place: Place, name: str, root: NestedRows, key: tuple[str, ...]) -> str:
    """The column; of a copy of a column of the key that one: the key determines the shard then."""
    followed.check_column(place, name, "the document", list(root.values))
    value = root.values.get(name)
    return next((column for column in key if value and root.values[column] == value), name)


def _put_key(reading: NodeReading, place: Place, document: Document, root: NestedRows) -> tuple[str, ...]:
    """The key, whose columns are put into the document as they are."""
    key = reading.key(document.nodes, root.table)
    if not key:
        place.fail(f"{root.table} has no primary key", init.NO_KEY)
    columns = {each.name: plain(each) for each in fields(reading.connection, root.table)}
    for name in key:
        followed.check_column(place.at("primary_key"), name, root.table, list(columns))
        if name in {each.label for each in root.children}:
            what = f"{shown(name)} is the label of a child, and a column of the key"
            place.at("children").fail(what, RENAME)
        if (value := root.values.get(name, columns[name])) != columns[name]:
            what = f"{shown(name)}, a column of the key, would hold {shown(value.column)}"
            place.at("transform").fail(what, RENAME)
    missing = [name for name in key if name not in root.values]
    root.values = {name: columns[name] for name in missing} | root.values
    reading.notes += [f"Added to the document: {name}, which is its key" for name in missing]
    if len(key) > 1:
        reading.notes.append("The ids of documents join the key's columns by `:`; pgsync joins them by `|`")
    return key
