"""pgsync's schema file: its documents, with the variables that it names resolved from the environment."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

from outboxctl.core.projections.tree import NestedRows
from outboxctl.domain.errors import ManyError, NotPermittedError, UsageError
from outboxctl.operations.projection import mapping
from outboxctl.operations.projection.place import Place, file_text, json_value, shown
from outboxctl.operations.projection.starting.init import properties

Json = dict[str, Any]
TOP = ("database", "index", "nodes", "mapping", "mappings", "setting", "routing", "pipeline")


def read(path: Path) -> list[Json]:
    """The documents of a schema file. UsageError for what is no such file."""
    place = Place(str(path))
    content = json_value(place, "it", file_text(place, path))
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


class Problems:
    """The errors that were found so far."""

    def __init__(self) -> None:
        self.found: list[UsageError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a UsageError of the block, and go on behind it."""
        try:
            yield
        except NotPermittedError:
            raise
        except ManyError as errors:
            self.found += errors.parts
        except UsageError as error:
            self.found.append(error)

    def check(self) -> None:
        """Raise UsageError where anything was noted: ManyError for more than one."""
        if self.found:
            raise self.error()

    def error(self) -> UsageError:
        """All that was noted, as one error."""
        return self.found[0] if len(self.found) == 1 else ManyError(self.found)


WORDS = ("dynamic", "dynamic_templates", "date_detection", "numeric_detection")  # of a whole mapping


def body(place: Place, document: Json, root: NestedRows) -> Json:
    """The body of the index: of one field `mapping` counts before `mappings`, and both before the nodes.

    Raises UsageError with the place of what is no mapping.
    """
    whole: Json = {"properties": properties(root)}
    for name in ("mappings", "mapping"):
        given = of_fields(place, document, name)
        inner = given.get("properties")
        if (
            given
            and not (isinstance(inner, dict) and "type" not in inner)
            and "dynamic_templates" not in given
        ):
            given = {"properties": given}  # pgsync also takes the fields alone
        fields = mapping.merged(whole["properties"], an_object(place.at(name), given, "properties"))
        whole = whole | given | {"properties": fields}
    if "dynamic_templates" in whole:  # they are for fields that no mapping names
        whole = {"dynamic": True} | whole
    settings = an_object(place, document, "setting")
    return {**({"settings": settings} if settings else {}), "mappings": whole}


def of_fields(place: Place, table: Json, name: str) -> Json:
    """Fields of an index by their names, or what such an object is in."""
    given = an_object(place, table, name)
    for key, value in given.items():
        if not isinstance(value, dict) and key not in WORDS:
            place.at(name).at(str(key)).fail(f"it must be an object, not {shown(value)}")
    return given


def of_node(place: Place, transform: Json) -> Json:
    """The fields of the index that a node declares, by their names in the document."""
    rename = transform.get("rename")
    new = rename if isinstance(rename, dict) else {}
    fields = of_fields(place, transform, "mapping").items()
    return {new[name] if isinstance(new.get(name), str) else name: each for name, each in fields}
