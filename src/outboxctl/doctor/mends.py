"""Commands that mend, in the form of the tool that a person has at hand."""

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any


def request(method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """A request to the sink, for a shell in which ELASTIC_URL is set."""
    data = f" -H 'Content-Type: application/json' -d {quote(json.dumps(body))}" if body else ""
    return f'curl -X {method} "$ELASTIC_URL"/{quote(path)}{data}'


def index_setting(index: str, **settings: Any) -> str:
    """Change settings of one index; None puts the engine's default back."""
    return request("PUT", f"{index}/_settings", {"index": settings})


def export(name: str, value: object) -> str:
    """Set a setting of ours; seconds without needless decimals."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"export {name}={quote(text)}"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:  # noqa: PLR2004 - the step of these units
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
