"""Tables of an application's own: modules, what each defines, and the members of classes.

Nothing here knows of the outbox, but for `rename`, which counts the events of its transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from outboxctl.core.database import Connection
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import text
from outboxctl.drills.demo.documents import Docstring

CREATE = """
CREATE SCHEMA demo;
CREATE TABLE demo.modules (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE demo.definitions (
    id int PRIMARY KEY, module_id int NOT NULL REFERENCES demo.modules, name text NOT NULL,
    summary text NOT NULL, text text NOT NULL, UNIQUE (module_id, name)
);
CREATE TABLE demo.members (
    definition_id int REFERENCES demo.definitions, name text, text text NOT NULL,
    PRIMARY KEY (definition_id, name)
)
"""
MODULES = "INSERT INTO demo.modules SELECT * FROM unnest(%s::int[], %s::text[])"
DEFINITIONS = """
INSERT INTO demo.definitions SELECT * FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[], %s::text[])
"""
MEMBERS = "INSERT INTO demo.members SELECT * FROM unnest(%s::int[], %s::text[], %s::text[])"
LARGEST = """
SELECT m.id, m.name, count(*) FROM demo.modules m JOIN demo.definitions d ON d.module_id = m.id
GROUP BY m.id ORDER BY 3 DESC, 2 LIMIT 1
"""
RENAME = "UPDATE demo.modules SET name = %s WHERE id = %s"
ALL_EVENTS = text(f"SELECT count(*) FROM {EVENTS}")  # noqa: S608 - built from constants


@dataclass
class OwnRows:
    """The rows of the three tables, in the order of their columns."""

    modules: list[tuple[int, str]] = field(default_factory=list)
    definitions: list[tuple[int, int, str, str, str]] = field(default_factory=list)
    members: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Module:
    """A module, and how many definitions it has."""

    id: int
    name: str
    definitions: int


def rows(documents: Sequence[Docstring]) -> OwnRows:
    """One definition for each class or function of a module, with or without a text of its own."""
    own, modules, definitions = OwnRows(), dict[str, int](), dict[tuple[str, str], int]()
    texts = {each.name: each for each in documents}
    for each in documents:
        name, _, member = each.name[len(each.module) + 1 :].partition(".")
        if not name:  # the module itself
            continue
        if each.module not in modules:
            modules[each.module] = len(modules) + 1
        if (each.module, name) not in definitions:
            id_ = definitions[each.module, name] = len(definitions) + 1
            text = texts.get(f"{each.module}.{name}", Docstring(name, "", each.module))
            own.definitions.append((id_, modules[each.module], name, text.summary, text.text))
        if member:
            own.members.append((definitions[each.module, name], member, each.text))
    own.modules = [(id_, name) for name, id_ in modules.items()]
    return own


def create(connection: Connection, own: OwnRows) -> None:
    """Make the tables and fill them."""
    connection.exec_driver_sql(CREATE)
    for statement, each in ((MODULES, own.modules), (DEFINITIONS, own.definitions), (MEMBERS, own.members)):
        columns: tuple[Any, ...] = tuple(map(list, zip(*each, strict=True)))
        connection.exec_driver_sql(statement, columns)


def largest(connection: Connection) -> Module:
    """The module with the most definitions."""
    return Module(*connection.exec_driver_sql(LARGEST).one())


def rename(connection: Connection, module: Module, name: str) -> int:
    """Give a module another name; returns the number of events that this has written."""
    before = connection.execute(ALL_EVENTS).scalar_one()
    connection.exec_driver_sql(RENAME, (name, module.id))
    return int(connection.execute(ALL_EVENTS).scalar_one() - before)
