"""What an engine calls an error, whatever its shape. Apart from the client, which takes long to load."""

from typing import Any


def error_of(error: Any) -> tuple[str, str]:
    """Type and reason (with the cause's) of an `error` of any shape; only None is no error."""
    if error is None:
        return "", ""
    if not isinstance(error, dict):
        return "unknown", str(error)[:500]
    cause = error.get("caused_by")
    inner = f" ({cause.get('type')}: {cause.get('reason')})" if isinstance(cause, dict) else ""
    return str(error.get("type") or "unknown"), f"{error.get('reason')}{inner}"
