"""pgsync's schema file: its documents, with the variables that it names resolved from the environment."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

from outboxctl.operations.projection import files
from outboxctl.operations.projection.place import Place, shown

Json = dict[str, Any]
TOP = ("database", "index", "nodes", "mapping", "mappings", "setting", "routing", "pipeline")


def read(path: Path) -> list[Json]:
    """The documents of a schema file. UsageError for what is no such file."""
    place = Place(str(path))
    content = files.parsed(place, "it", files.text(place, path))
    documents = [content] if isinstance(content, dict) else content
    if not isinstance(documents, list) or not documents or not all(isinstance(d, dict) for d in documents):
        place.fail("it holds no documents", "pgsync's schema file is a list of objects with `nodes`")
    return documents


def resolved(place: Place, document: Json, key: str) -> str:
    """A text beside `nodes`, with `$NAME` and `${NAME}` as pgsync resolves them; empty where it is left out.

    Raises UsageError for a variable that is not set, which pgsync leaves as it is.
    """
    given = Template(place.text(document, key))
    for name in given.get_identifiers():
        if name not in os.environ:
            hint = f"export {name}=…, or write the value in a copy of the file"
            place.at(key).fail(f"the environment has no variable {name}", hint)
    return place.at(key).one_line(value) if (value := given.safe_substitute(os.environ)) else ""


def left_over(place: Place, given: Json, known: Sequence[str]) -> Iterator[str]:
    """Notes of what is not taken over."""
    for name in given:
        if name not in known:
            value = json.dumps(given[name], ensure_ascii=False)
            yield f"Not taken over: {place.at(str(name)).key} {value}"


def children(place: Place, given: Json) -> list[tuple[Place, Json]]:
    """The nodes beneath one, each with its place."""
    listed, here = given.get("children") or [], place.at("children")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        here.fail(f"it must be a list of objects, not {shown(listed)}")
    return [(here.item(number), each) for number, each in enumerate(listed, 1)]


def an_object(place: Place, table: Json, name: str) -> Json:
    """An object; empty where it is left out. UsageError for anything else."""
    given = table.get(name) or {}
    if not isinstance(given, dict):
        place.at(name).fail(f"it must be an object, not {shown(given)}")
    return given
