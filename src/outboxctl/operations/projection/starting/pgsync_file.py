"""pgsync's schema file: its documents, with the variables that it names resolved from the environment."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from outboxctl.core.projections.tree import NestedRows
from outboxctl.domain.errors import ManyError, UsageError
from outboxctl.operations.projection import mapping
from outboxctl.operations.projection.place import Place, check_fields, file_text, json_value
from outboxctl.operations.projection.starting.init import properties

Json = dict[str, Any]


def _resolved(value: str) -> str:
    """The text with `$NAME` and `${NAME}` as pgsync resolves them; a variable that is not set is refused."""
    given = Template(value)
    for name in given.get_identifiers():
        if name not in os.environ:
            hint = f"export {name}=…, or write the value in a copy of the file"
            raise ValueError(f"the environment has no variable {name}; {hint}")
    return given.safe_substitute(os.environ)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is blank")
    return value


def _listed(value: Any) -> Any:
    """A list of one text, and `["product_id"]` of `{"shop.reviews": ["product_id"]}`: pgsync takes both."""
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return [value] if isinstance(value, str) else value


Resolved = Annotated[str, AfterValidator(_resolved)]
Columns = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class SchemaPart(BaseModel):
    """An object of the file. What it has besides is not taken over; null stands for what is left out."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return given

    def left_over(self, place: Place) -> Iterator[str]:
        """Notes of what is not taken over, of the parts beneath it as well."""
        for name, value in (self.model_extra or {}).items():
            yield f"Not taken over: {place.at(name).key} {json.dumps(value, ensure_ascii=False)}"
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SchemaPart):
                yield from value.left_over(place.at(name))
            elif isinstance(value, tuple):
                for number, each in enumerate(value, 1):
                    if isinstance(each, SchemaPart):
                        yield from each.left_over(place.at(name).item(number))


class ForeignKey(SchemaPart):
    """Columns of the lower table, equal to those of the upper one."""

    child: Columns
    parent: Columns

    @model_validator(mode="after")
    def _as_many(self) -> "ForeignKey":
        if len(self.child) != len(self.parent) or not self.child:
            raise ValueError("`child` and `parent` must name as many columns each")
        return self


class Relationship(SchemaPart):
    """How a node is tied to the one above."""

    type: Literal["one_to_one", "one_to_many"]
    variant: Literal["object", "scalar"]
    through_tables: Annotated[tuple[str, ...], Field(max_length=1)] = ()
    foreign_key: ForeignKey | None = None


class Transform(SchemaPart):
    """New names of fields and children; fields of the index, by the names of before."""

    rename: dict[str, Annotated[str, AfterValidator(_not_blank)]] = {}
    mapping: dict[str, Json] = {}

    @model_validator(mode="after")
    def _without_values(self) -> "Transform":
        for name in ("replace", "concat"):
            if (self.model_extra or {}).get(name):
                hint = "leave it out in a copy of the file, and write it into the query by hand"
                raise ValueError(f"`{name}` is not converted: {hint}")
        return self


class Node(SchemaPart):
    """A table, with the tables nested in its rows."""

    table: str
    of_schema: str = Field("public", alias="schema")
    columns: tuple[str, ...] = ()
    label: Annotated[str, AfterValidator(_not_blank)] = ""
    primary_key: Columns = ()
    base_tables: tuple[str, ...] = ()
    children: tuple["Child", ...] = ()
    transform: Transform = Transform()

    @property
    def called(self) -> str:
        """The name of its field in the node above."""
        return self.label or self.table

    def renames(self) -> bool:
        """Whether it, or a node beneath it, renames a field."""
        return bool(self.transform.rename) or any(each.renames() for each in self.children)


class Child(Node):
    """A node beneath another one."""

    relationship: Relationship


class Document(SchemaPart):
    """A document: its tables, and its index."""

    nodes: Node
    database: Resolved = ""
    index: Resolved = ""
    routing: Resolved = ""
    pipeline: Resolved = ""
    mapping: Json = {}
    mappings: Json = {}
    setting: Json = {}


def read(path: Path) -> list[tuple[Place, Document]]:
    """The documents of a file, each with its place. Raises UsageError: ManyError with all that is wrong."""
    place = Place(str(path))
    content = json_value(place, "it", file_text(place, path))
    given = content if isinstance(content, list) else [content]
    if not given:
        place.fail("it holds no documents", "pgsync's schema file is a list of objects with `nodes`")
    places = [
        place if len(given) == 1 else Place(str(path), f"document {number}")
        for number in range(1, len(given) + 1)
    ]
    try:
        documents = TypeAdapter(list[Document]).validate_python(given)
    except ValidationError as error:
        raise ManyError([_error(places, each["loc"], each["msg"]) for each in error.errors()]) from None
    return [*zip(places, documents, strict=True)]


def _error(places: Sequence[Place], loc: Sequence[int | str], text: str) -> UsageError:
    first, *keys = loc
    place = places[int(first)]
    for each in keys:
        place = place.item(each + 1) if isinstance(each, int) else place.at(each)
    return UsageError(f"{place}: {text.removeprefix('Value error, ')}")


def body(place: Place, document: Document, root: NestedRows) -> Json:
    """The body of the index: of one field `mapping` counts before `mappings`, and both before the nodes.

    Raises UsageError with the place of what is no mapping.
    """
    whole: Json = {"properties": properties(root)}
    for name in ("mappings", "mapping"):
        given = getattr(document, name)
        inner = given.get("properties", {"type": ""})
        if given and "type" in inner and "dynamic_templates" not in given:
            given = {"properties": given}  # pgsync also takes the fields alone
        check_fields(place.at(name), given)
        fields = mapping.merged(whole["properties"], given.get("properties", {}))
        whole = whole | given | {"properties": fields}
    if "dynamic_templates" in whole:  # they are for fields that no mapping names
        whole = {"dynamic": True} | whole
    return ({"settings": document.setting} if document.setting else {}) | {"mappings": whole}
