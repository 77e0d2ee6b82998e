"""Real texts without a download: the docstrings of the running Python's standard library.

Modules written in Python are parsed, not imported: some of them act on import (`antigravity` opens a
browser). Only a few written in C, which have no source to parse, are imported and looked at.
"""

import ast
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from uuid import NAMESPACE_URL, UUID, uuid5

ENTITY_TYPE = "docstring"
NAMESPACE = uuid5(NAMESPACE_URL, "urn:outboxctl:demo")
SKIPPED = {"test", "tests", "idlelib", "lib2to3"}  # not what a user of the library reads
WRITTEN_IN_C = ("builtins", "io", "os", "sys", "time", "math", "itertools")
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SENTENCE_END = re.compile(r"(?<=[.!?]) ")
SNIPPET_WIDTH = 200
BRANCHES = (ast.If, ast.Try, ast.ExceptHandler, ast.With)


@dataclass(frozen=True)
class Docstring:
    """One docstring under its qualified name, `pathlib.Path.open`."""

    name: str
    text: str

    @property
    def entity_id(self) -> UUID:
        """The same for the same name, on every machine and in every run."""
        return uuid5(NAMESPACE, self.name)

    @property
    def snippet(self) -> str:
        """The name and the first sentence, on one line: what a search shows."""
        paragraph = " ".join(self.text.partition("\n\n")[0].split())
        return shorten(f"{self.name}: {SENTENCE_END.split(paragraph)[0]}", SNIPPET_WIDTH, placeholder=" …")


def collect() -> list[Docstring]:
    """Every public module, class and function that has a docstring; one document a name."""
    found: dict[str, str] = {}
    for name, text in _everything():
        clean = _storable(text)
        if clean:
            found.setdefault(name, clean)
    return [Docstring(name, text) for name, text in found.items()]


def _everything() -> Iterator[tuple[str, str]]:
    for name in WRITTEN_IN_C:
        yield from _in_namespace(name, vars(import_module(name)), classes=True)
    root = Path(sysconfig.get_path("stdlib"))
    for path in _sources(root):
        parts = _module_parts(path.relative_to(root))
        if not any(map(_hidden, parts)):
            yield from _in_source(".".join(parts), path)


def _sources(root: Path) -> Iterator[Path]:
    """Files of the library itself; `site-packages` may lie among them."""
    for entry in sorted(root.iterdir()):
        if entry.stem in sys.stdlib_module_names:
            yield from sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] * (entry.suffix == ".py")


def _module_parts(path: Path) -> list[str]:
    """`json/__init__.py` is `json`, `json/decoder.py` is `json.decoder`."""
    parts = list(path.with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _hidden(name: str) -> bool:
    return name.startswith("_") or name in SKIPPED


def _in_source(module: str, path: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    yield module, ast.get_docstring(tree) or ""
    yield from _in_body(module, tree)


def _in_body(owner: str, parent: ast.AST) -> Iterator[tuple[str, str]]:
    """The definitions of a module or a class; what is inside a function is nobody's to use."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, DEFINITIONS) and not _hidden(node.name):
            yield from _definition(f"{owner}.{node.name}", node)
        elif isinstance(node, BRANCHES):
            yield from _in_body(owner, node)


def _definition(name: str, node: Definition) -> Iterator[tuple[str, str]]:
    yield name, ast.get_docstring(node) or ""
    if isinstance(node, ast.ClassDef):
        yield from _in_body(name, node)


def _in_namespace(owner: str, members: Mapping[str, object], *, classes: bool) -> Iterator[tuple[str, str]]:
    """What C defines there; with `classes` their methods as well."""
    for name, value in members.items():
        if not _hidden(name) and (inspect.isclass(value) or inspect.isroutine(value)):
            yield f"{owner}.{name}", inspect.cleandoc(value.__doc__ or "")
            if classes and inspect.isclass(value):
                yield from _in_namespace(f"{owner}.{name}", vars(value), classes=False)


def _storable(text: str) -> str:
    """Without what PostgreSQL's text cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()
