"""Real texts without a download: docstrings of the standard library, which is parsed, not imported."""

import ast
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKIPPED = {"test", "tests", "idlelib", "lib2to3"}  # not what a user of the library reads
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


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
    """Every public module, class and function that has a docstring; one document a name."""
    found: dict[str, Docstring] = {}
    for module, name, text in _everything():
        # Without what PostgreSQL's text cannot hold: NUL and lone surrogates.
        if storable := text.replace("\0", "").encode("utf-8", "replace").decode().strip():
            found.setdefault(name, Docstring(name, storable, module))
    return list(found.values())


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
