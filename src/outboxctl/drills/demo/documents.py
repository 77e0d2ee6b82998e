"""Real texts without a download: the docstrings of Python's standard library, collected and written.

Modules are parsed, not imported: some have side effects (`antigravity` opens a browser).
"""

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg

from outboxctl import enqueue
from outboxctl.core.database_errors import translate
from outboxctl.core.schema.names import SOURCE

ENTITY_TYPE = "docstring"
NAMESPACE = uuid5(NAMESPACE_URL, "urn:outboxctl:demo")
SKIPPED = {"test", "tests", "idlelib", "lib2to3"}  # not what a user of the library reads
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SENTENCE_END = re.compile(r"(?<=[.!?]) ")
SNIPPET_WIDTH = 200
UPSERT = f"""
INSERT INTO {SOURCE} AS s (id, entity_type, entity_id, text, snippet, rank_score, event_version,
    created_at, updated_at)
VALUES (gen_random_uuid(), %s, %s, %s, %s, 0, 1, now(), now())
ON CONFLICT (entity_type, entity_id) DO UPDATE SET event_version = s.event_version + 1, updated_at = now()
RETURNING event_version
"""  # noqa: S608 - built from constants
YIELD_EVERY = 100  # documents


@dataclass(frozen=True)
class Docstring:
    """One docstring under its qualified name, `pathlib.Path.open`, and the module of it, `pathlib`."""

    name: str
    text: str
    module: str

    @property
    def entity_id(self) -> UUID:
        """The same for the same name, on every machine and in every run."""
        return uuid5(NAMESPACE, self.name)

    @property
    def snippet(self) -> str:
        """The name and the first sentence, on one line: what a search shows."""
        return shorten(f"{self.name}: {self.summary}", SNIPPET_WIDTH, placeholder=" …")

    @property
    def summary(self) -> str:
        """The first sentence, on one line."""
        paragraph = " ".join(self.text.partition("\n\n")[0].split())
        return SENTENCE_END.split(paragraph)[0]


def collect() -> list[Docstring]:
    """Every public module, class and function that has a docstring; one document a name."""
    found: dict[str, Docstring] = {}
    for module, name, text in _everything():
        # Without what PostgreSQL's text cannot hold: NUL and lone surrogates.
        if storable := text.replace("\0", "").encode("utf-8", "replace").decode().strip():
            found.setdefault(name, Docstring(name, storable, module))
    return list(found.values())


def write(url: str, documents: Sequence[Docstring]) -> Iterator[int]:
    """Write each document and its event in a transaction, again if it exists; yields how many so far."""
    try:
        # Closed, not rolled back: an interrupted connection cannot roll back, and would log that on stderr.
        with closing(psycopg.connect(url)) as connection:
            for count, document in enumerate(documents, start=1):
                _write(connection, document)
                connection.commit()
                if count % YIELD_EVERY == 0:
                    yield count
    except psycopg.Error as error:
        raise translate(error, "of the demo") from error


def _write(connection: psycopg.Connection, document: Docstring) -> None:
    values = (ENTITY_TYPE, document.entity_id, document.text, document.snippet)
    row = connection.execute(UPSERT, values).fetchone()
    version = row[0] if row else 0
    enqueue(connection, entity_type=ENTITY_TYPE, entity_id=document.entity_id, event_version=version)


def _everything() -> Iterator[tuple[str, str, str]]:
    """Module, qualified name and text of each."""
    root = Path(sysconfig.get_path("stdlib"))
    for entry in sorted(root.iterdir()):  # `site-packages` may lie among them
        if entry.stem in sys.stdlib_module_names:
            for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] * (entry.suffix == ".py"):
                parts = [part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"]
                if not any(map(_hidden, parts)):
                    yield from _in_module(".".join(parts), path)


def _in_module(module: str, path: Path) -> Iterator[tuple[str, str, str]]:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    yield module, module, ast.get_docstring(tree) or ""
    for name, text in _in_body(module, tree):
        yield module, name, text


def _hidden(name: str) -> bool:
    return name.startswith("_") or name in SKIPPED


def _in_body(owner: str, parent: ast.AST) -> Iterator[tuple[str, str]]:
    """The definitions of a module or a class; those inside a function cannot be used."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, DEFINITIONS) and not _hidden(node.name):
            yield f"{owner}.{node.name}", ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                yield from _in_body(f"{owner}.{node.name}", node)
