"""Files that a declaration names: relative to its own folder, of a bounded size."""

import json
from pathlib import Path
from typing import Any

from outboxctl.domain.printable import SURROGATE, brief
from outboxctl.operations.projection.place import Place, shown

LARGEST = 4_000_000  # bytes
PARTS = ("mappings", "settings")  # of the body that creates an index


def text(place: Place, path: Path) -> str:
    """What a file holds, as UTF-8. UsageError where it cannot be read."""
    try:
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


def mapping(place: Place, table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of an index, or a part of it: JSON, or the name of a file; empty where it is left out."""
    if "mapping" not in table:
        return {}
    given = place.value(table, "mapping", str, "the name of a file, or JSON")
    here, inline = place.at("mapping"), "\n" in given.strip() or given.lstrip().startswith("{")
    name = "it" if inline else here.one_line(given)
    body = parsed(here, name, given if inline else text(here, folder / name))
    if not isinstance(body, dict) or not all(isinstance(part, dict) for part in body.values()):
        here.fail(
            f"{brief(name, 200)} is no object of objects", 'it holds {"settings": {…}, "mappings": {…}}'
        )
    here.known(body, PARTS)
    properties = body.get("mappings", {}).get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        here.at("mappings.properties").fail(f"they must be an object of objects, not {shown(properties)}")
    return body


def parsed(place: Place, name: str, content: str) -> Any:
    """A text as JSON. UsageError where it is none, or holds what no database keeps."""
    try:
        body = json.loads(content)
        written = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        place.fail(f"{brief(name, 200)} is not JSON: {error}")
    if "\\u0000" in written or SURROGATE.search(written):
        place.fail(f"{brief(name, 200)} holds a NUL or half a character, which no database keeps")
    return body
