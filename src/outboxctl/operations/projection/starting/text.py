"""The text of a declaration: TOML that `projection plan` takes as it is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outboxctl.core.projections.fields import Field
from outboxctl.core.projections.tree import NestedRows, Value
from outboxctl.domain.printable import brief
from outboxctl.operations.projection import mapping

HEAD = "Look through the columns: whatever the query names is in the index."
WIDTH = 100  # of a line of the mapping
FIELDS = 2  # levels down: `mappings` and `properties` have a line each
LONGEST = 300  # characters of a comment


@dataclass(frozen=True)
class Start:
    """What a declaration begins with. `root` is a name as SQL has it, `follow` are tables of TOML."""

    name: str
    root: str
    key: tuple[str, ...]
    index: str
    query: str
    body: Mapping[str, Any]
    routing: str = ""
    pipeline: str = ""
    follow: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = field(default_factory=list)

    def toml(self) -> str:
        """The declaration."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from (f"# {brief(note, LONGEST)}" for note in self.notes)
        yield f"[projections.{self.name}]"
        yield f"root = {quoted(self.root)}"
        yield f"key = {_texts(self.key)}"
        yield f"index = {quoted(self.index)}"
        for name in ("routing", "pipeline"):
            if value := getattr(self, name):
                yield f"{name} = {quoted(value)}"
        yield f"query = {block(self.query)}"
        if self.body:
            yield f"mapping = {block(_json(self.body))}"
        for follow in self.follow:
            yield f"\n[[projections.{self.name}.follow]]"
            for name, value in follow.items():
                yield f"{name} = {_value(value)}"


def _json(value: Any, depth: int = 0) -> str:
    """JSON in which a field stands in one line where it fits."""
    line, blanks = json.dumps(value, ensure_ascii=False), "  " * depth
    fits = depth > FIELDS and len(blanks) + len(line) <= WIDTH
    if not isinstance(value, Mapping) or not value or fits:
        return line
    inner = [
        f"{blanks}  {json.dumps(name, ensure_ascii=False)}: {_json(each, depth + 1)}"
        for name, each in value.items()
    ]
    return "{\n" + ",\n".join(inner) + f"\n{blanks}}}"


def quoted(text: str) -> str:
    """A TOML text in one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def block(text: str) -> str:
    """A TOML text in several lines, as it is if that is possible."""
    body = text.strip("\n")
    if "'''" not in body and not body.endswith("'"):
        return f"'''\n{body}\n'''"
    escaped = body.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{escaped}\n"""'


def _value(value: bool | str | Sequence[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else _texts(value)


def _texts(texts: Sequence[str]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(quoted, texts))}]"


def properties(node: NestedRows) -> dict[str, Any]:
    """The fields of an index for a node: those of its columns' types, or as somebody has declared them."""
    found = mapping.derived([_field(label, value) for label, value in node.values.items()])
    for child in node.children:
        inner = properties(child)
        if child.scalar:
            found |= {child.label: next(iter(inner.values()))} if inner else {}
        else:
            found[child.label] = {"properties": inner}
    return found | node.mapping


def _field(label: str, value: Value) -> Field:
    return Field(label, value.kind, value.kind, not_null=False, deterministic=True, listed=value.listed)
