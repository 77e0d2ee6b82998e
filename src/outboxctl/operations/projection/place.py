"""A place in a declaration file, for errors that name the file, the table in it and the key."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import CONTROL, SURROGATE, brief, clean_json

LONGEST = 100  # characters of a value that an error repeats


@dataclass(frozen=True)
class Place:
    """A key of a file: `products.toml: [projections.product] follow[1].columns`."""

    file: str
    table: str = ""
    key: str = ""
    schema: str = ""  # of those for which the table stands

    def __str__(self) -> str:
        table = f"[{self.table}]" if self.table else ""
        schema = f"in the schema {shown(self.schema)}" if self.schema else ""
        return f"{brief(self.file, 200)}: {' '.join(filter(None, (table, schema, self.key)))}".rstrip(": ")

    def at(self, key: str) -> "Place":
        """The place of a key beneath this one."""
        return replace(self, key=f"{self.key}.{key}" if self.key else key)

    def item(self, number: int) -> "Place":
        """The place of an element of a list, counted from 1."""
        return replace(self, key=f"{self.key}[{number}]")

    def fail(self, what: str, hint: str = "", *, block: str = "") -> NoReturn:
        """Raise UsageError: what is wrong here; `block` are lines to paste."""
        raise UsageError(f"{self}: {what}", hint=hint, block=block)

    def known(self, table: dict[str, Any], keys: Iterable[str]) -> None:
        """Raise UsageError for a key that is none of `keys`, with the nearest."""
        for key in table:
            if key not in (known := list(keys)):
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
                self.at(brief(key, LONGEST)).fail("unknown key", hint)

    def text(self, table: dict[str, Any], key: str, *, needed: bool = False) -> str:
        """A text without control characters; empty where it is left out."""
        if key not in table and not needed:
            return ""
        return self.at(key).one_line(self.value(table, key, str, "a text"))

    def texts(self, table: dict[str, Any], key: str, *, several: bool = True) -> tuple[str, ...]:
        """A text or a list of texts (with `several` a list only), each once; empty where it is left out."""
        if key not in table:
            return ()
        given, here = table[key], self.at(key)
        listed = [given] if isinstance(given, str) and not several else given
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            here.fail(f"it must be {'' if several else 'a text or '}a list of texts, not {shown(given)}")
        if not listed:
            here.fail("the list is empty", "leave the key out instead")
        if twice := sorted({each for each in listed if listed.count(each) > 1}):
            here.fail(f"{shown(twice[0])} occurs twice")
        return tuple(here.one_line(each) for each in listed)

    def value(self, table: dict[str, Any], key: str, kind: type, words: str) -> Any:
        """A value that must be there and of that kind."""
        if key not in table:
            self.fail(f"`{key}` is missing")
        if not isinstance(table[key], kind):
            self.at(key).fail(f"it must be {words}, not {shown(table[key])}")
        return table[key]

    def one_line(self, value: str) -> str:
        """The text. Raises UsageError for a blank one, and for control characters."""
        if not value.strip():
            self.fail("it is blank")
        if CONTROL.search(value) or SURROGATE.search(value):
            self.fail(f"it holds control characters: {shown(value)}")
        return value


def shown(value: Any) -> str:
    """A value as an error repeats it."""
    return brief(repr(value), LONGEST)


LARGEST = 4_000_000  # bytes
PARTS = ("mappings", "settings")  # of the body that creates an index


def file_text(place: Place, path: Path, *, folder: Path | None = None) -> str:
    """What a file holds, as UTF-8: with `folder` a regular one in it. UsageError where it cannot be read."""
    try:
        if folder is not None:
            path = _within(place, path, folder)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        place.fail(f"cannot read {brief(str(path), 200)}: {why}")
    if len(content) > LARGEST:
        place.fail(f"{brief(str(path), 200)} has more than {LARGEST:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place.fail(f"{brief(str(path), 200)} is not UTF-8, at byte {error.start:,}")


def _within(place: Place, path: Path, folder: Path) -> Path:
    """Where a path leads. UsageError where that is elsewhere: an error would repeat what it holds."""
    real = Path(os.path.realpath(path, strict=True))
    if not real.is_relative_to(folder.resolve()):
        place.fail(f"{brief(str(path), 200)} is not in the folder of the declaration", "copy it there")
    if not real.is_file():
        place.fail(f"{brief(str(path), 200)} is no regular file")
    return real


def file_mapping(place: Place, table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of an index, or a part of it: JSON, or the name of a file; empty where it is left out."""
    if "mapping" not in table:
        return {}
    given = place.value(table, "mapping", str, "the name of a file, or JSON")
    here, inline = place.at("mapping"), "\n" in given.strip() or given.lstrip().startswith("{")
    name = "it" if inline else here.one_line(given)
    body = json_value(here, name, given if inline else file_text(here, folder / name, folder=folder))
    if not isinstance(body, dict) or not all(isinstance(part, dict) for part in body.values()):
        here.fail(
            f"{brief(name, 200)} is no object of objects", 'it holds {"settings": {…}, "mappings": {…}}'
        )
    here.known(body, PARTS)
    _check_fields(here.at("mappings"), body.get("mappings", {}))
    return body


def _check_fields(place: Place, fields: dict[str, Any]) -> None:
    """Raise UsageError where the `properties` of a mapping, or of an object in it, are no objects."""
    here, properties = place.at("properties"), fields.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        here.fail(f"they must be an object of objects, not {shown(properties)}")
    for name, each in properties.items():
        _check_fields(here.at(name), each)


def json_value(place: Place, name: str, content: str) -> Any:
    """A text as JSON. UsageError where it is none, or holds what no database keeps."""
    try:
        body = json.loads(content)
        written = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        place.fail(f"{brief(name, 200)} is not JSON: {error}")
    if "\\u0000" in written or SURROGATE.search(written):
        place.fail(f"{brief(name, 200)} holds a NUL or half a character, which no database keeps")
    return body


def quoted(text: str) -> str:
    """A TOML text in one line."""
    return clean_json(json.dumps(text, ensure_ascii=False))
