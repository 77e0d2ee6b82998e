"""What the new index shall look like, as it was asked for."""

import json
from pathlib import Path
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import SURROGATE
from outboxctl.sink.index.index_setup import MAPPING

PARTS = {"mappings", "settings"}
Part = dict[str, Any] | None


def choose(choice: str) -> tuple[Part, Part]:
    """Mappings and settings, None where those of the old index are kept.

    `choice` is `keep`, `default` (the project's mapping) or a JSON file with `mappings`, `settings` or
    both, as the create-index API takes them. Raises UsageError for anything else.
    """
    if choice == "keep":
        return None, None
    if choice == "default":
        return MAPPING, None
    body = _read(choice)
    if not isinstance(body, dict) or not body or body.keys() - PARTS:
        hint = 'it holds {"mappings": {…}, "settings": {…}}, or one of the two'
        raise UsageError(f"--mapping {choice}: not the body of an index", hint=hint)
    if not all(isinstance(part, dict) for part in body.values()):
        raise UsageError(f"--mapping {choice}: mappings and settings are objects")
    if not isinstance(body.get("mappings", {}).get("_meta", {}), dict):
        raise UsageError(f"--mapping {choice}: _meta of mappings is no object")
    return body.get("mappings"), body.get("settings")


def _read(path: str) -> Any:
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        written = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except OSError as error:
        hint = "give keep, default or the name of a JSON file"
        raise UsageError(f"--mapping {path}: {error.strerror or 'cannot be read'}", hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--mapping {path}: not JSON: {error}") from None
    if "\\u0000" in written or SURROGATE.search(written):
        raise UsageError(f"--mapping {path}: holds a NUL or half a character, which no database keeps")
    return body
