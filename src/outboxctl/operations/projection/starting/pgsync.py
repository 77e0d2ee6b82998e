"""Starting declarations from pgsync's schema file: a tree of tables, whose documents have the same nesting.

What has no counterpart, such as a plugin, is not taken over, and named in a comment. What would be another
document in silence is refused, all of it at once.
"""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from outboxctl.core.projections import catalog
from outboxctl.core.projections.tree import NestedRows
from outboxctl.core.projections.tree_sql import Writer
from outboxctl.domain.errors import NotPermittedError, UsageError
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.place import Place
from outboxctl.operations.projection.starting import init, pgsync_key, pgsync_mapping
from outboxctl.operations.projection.starting.pgsync_file import TOP, Json, left_over, read, resolved
from outboxctl.operations.projection.starting.pgsync_nodes import NodeReading
from outboxctl.operations.projection.starting.problems import Problems
from outboxctl.operations.projection.starting.text import HEAD, Start

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

TEXTS = ("database", "index", "routing", "pipeline")


def starts(connection: "Connection", path: FilePath) -> list[Start]:
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


def _start(connection: "Connection", place: Place, document: Json) -> Start:
    reading = NodeReading(connection, Problems())
    texts = _texts(place, document, reading.problems)
    root, base, key, body, routing = _root(reading, place, document, texts["routing"])
    writer, given = Writer(connection, empty=False), texts["index"] or texts["database"]
    name, lost = init.valid_name(given or root.table.name), left_over(place, document, TOP)
    start = Start(
        name,
        writer.relation(base),
        key,
        given or name.lstrip("_"),
        writer.select(root),
        body,
        routing=routing,
        pipeline=texts["pipeline"],
        notes=[HEAD, *_of_database(connection, texts["database"]), *lost, *reading.notes],
    )
    try:
        return init.checked(connection, start)
    except NotPermittedError:
        raise
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _texts(place: Place, document: Json, problems: Problems) -> dict[str, str]:
    found = dict.fromkeys(TEXTS, "")
    for key in TEXTS:
        with problems.noted():
            found[key] = resolved(place, document, key)
    return found


def _root(
    reading: NodeReading, place: Place, document: Json, routing: str
) -> tuple[NestedRows, Relation, tuple[str, ...], Json, str]:
    """The tree, its table, the key of its documents, the index's body, the routing. Raises all errors."""
    root, key, body, problems = None, tuple[str, ...](), Json(), reading.problems
    with problems.noted():
        nodes = place.value(document, "nodes", dict, "an object")
        root = reading.node(place.at("nodes"), nodes)
    if root is None:
        raise problems.error()
    base = root.table
    with problems.noted():
        key = pgsync_key.put(reading, place.at("nodes"), nodes, root)
        base = pgsync_key.base(reading.connection, place.at("nodes"), nodes, base, key)
    with problems.noted():
        body = pgsync_mapping.body(place, document, root)
    with problems.noted():
        routing = pgsync_key.routing(place.at("routing"), routing, root, key)
    problems.check()
    return root, base, key, body, routing


def _of_database(connection: "Connection", given: str) -> Iterator[str]:
    here = catalog.database(connection)
    if given and given != here:
        yield f"The file is of the database {given}, and these tables are those of {here}"
