"""The demo's data: docstrings of the standard library, and an application's own tables made of them."""

import ast
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from outboxctl.core.database import Connection
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import text

SKIPPED = {"test", "tests", "idlelib", "lib2to3"}  # not what a user of the library reads
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
TABLES = """
CREATE SCHEMA demo;
CREATE TABLE demo.modules (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE demo.definitions (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, module_id int NOT NULL REFERENCES demo.modules,
    name text NOT NULL, text text NOT NULL, UNIQUE (module_id, name)
);
CREATE TABLE demo.members (
    definition_id int REFERENCES demo.definitions, name text, text text NOT NULL,
    PRIMARY KEY (definition_id, name)
)
"""
ROWS = """
WITH given AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS g (module, name, member, text)
    WHERE name <> ''
), modules AS (
    INSERT INTO demo.modules (name) SELECT DISTINCT module FROM given RETURNING *
), definitions AS (
    INSERT INTO demo.definitions (module_id, name, text)
    SELECT m.id, g.name, coalesce(max(g.text) FILTER (WHERE g.member = ''), '')
    FROM given g JOIN modules m ON m.name = g.module GROUP BY m.id, g.name RETURNING *
), members AS (
    INSERT INTO demo.members SELECT d.id, g.member, g.text
    FROM given g JOIN modules m ON m.name = g.module
    JOIN definitions d ON d.module_id = m.id AND d.name = g.name
    WHERE g.member <> '' RETURNING *
)
SELECT (SELECT count(*) FROM modules), (SELECT count(*) FROM definitions), (SELECT count(*) FROM members)
"""
DECLARATION = """\
[projections.{name}]
root = "demo.definitions"
key = "id"
index = "{index}"
query = '''
SELECT d.id, m.name AS module, d.name, d.text, concat(d.name, ' of ', m.name) AS snippet,
    (SELECT jsonb_agg(jsonb_build_object('name', s.name, 'text', s.text) ORDER BY s.name)
        FROM demo.members s WHERE s.definition_id = d.id) AS members
FROM demo.definitions d JOIN demo.modules m ON m.id = d.module_id
'''
mapping = '''
{{"mappings": {{"properties": {{
    "module": {{"type": "keyword"}},
    "members": {{"properties": {{"name": {{"type": "keyword"}}, "text": {{"type": "text"}}}}}}}}}}}}
'''
"""
LARGEST = """
SELECT m.id, m.name, count(*) FROM demo.modules m JOIN demo.definitions d ON d.module_id = m.id
GROUP BY m.id ORDER BY 3 DESC, 2 LIMIT 1
"""
WRITTEN = text(f"SELECT count(*) FROM {EVENTS} WHERE created_at = now()")  # noqa: S608 - built from constants
RENAME = "UPDATE demo.modules SET name = %s WHERE id = %s"


@dataclass(frozen=True)
class Docstring:
    """One docstring under its qualified name, `pathlib.Path.open`, and the module of it, `pathlib`."""

    name: str
    text: str
    module: str

    @property
    def content(self) -> str:
        """Name and text on one line: a search shows its beginning."""
        return f"{self.name}: {' '.join(self.text.split())}"

    @property
    def parts(self) -> tuple[str, str, str]:
        """Module, class or function (empty for the module itself), and member of the class."""
        definition, _, member = self.name[len(self.module) + 1 :].partition(".")
        return self.module, definition, member


def collect() -> list[Docstring]:
    """Return every public module, class and function that has a docstring; one document a name."""
    found: dict[str, Docstring] = {}
    root = Path(sysconfig.get_path("stdlib"))
    for entry in sorted(root.iterdir()):  # `site-packages` may lie among them
        if entry.stem not in sys.stdlib_module_names:
            continue
        for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] * (entry.suffix == ".py"):
            parts = [part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"]
            if not any(map(_hidden, parts)):
                module, tree = ".".join(parts), ast.parse(path.read_bytes(), filename=str(path))
                for name, docstring in [(module, ast.get_docstring(tree) or ""), *_in_body(module, tree)]:
                    # Without what PostgreSQL's text cannot hold: NUL and lone surrogates.
                    if storable := docstring.replace("\0", "").encode("utf-8", "replace").decode().strip():
                        found.setdefault(name, Docstring(name, storable, module))
    return list(found.values())


def _hidden(name: str) -> bool:
    return name.startswith("_") or name in SKIPPED


def _in_body(owner: str, parent: ast.AST) -> Iterator[tuple[str, str]]:
    """The definitions of a module or a class; those inside a function cannot be used."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, DEFINITIONS) and not _hidden(node.name):
            yield f"{owner}.{node.name}", ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                yield from _in_body(f"{owner}.{node.name}", node)


def create(connection: Connection, documents: Sequence[Docstring]) -> tuple[int, int, int]:
    """Make the tables and fill them; returns the number of modules, of definitions and of members."""
    columns = zip(*((*document.parts, document.text) for document in documents), strict=True)
    connection.exec_driver_sql(TABLES)
    modules, definitions, members = connection.exec_driver_sql(ROWS, tuple(map(list, columns))).one()
    return modules, definitions, members


def largest(connection: Connection) -> tuple[int, str, int]:
    """The module with the most definitions: its id, its name and their number."""
    id_, name, definitions = connection.exec_driver_sql(LARGEST).one()
    return id_, name, definitions


def rename(connection: Connection, id_: int, name: str) -> int:
    """Give a module another name; returns the number of events that this transaction has written."""
    connection.exec_driver_sql(RENAME, (name, id_))
    return int(connection.execute(WRITTEN).scalar_one())
