"""What an engine calls an error, whatever its shape. Apart from the client, which takes long to load."""

from typing import Any

from outboxctl.domain.failures import UNKNOWN
from outboxctl.domain.redaction import cut


def error_of(error: Any) -> tuple[str, str]:
    """Type and reason (with the cause's) of an `error` of any shape and depth; only None is no error."""
    if error is None:
        return "", ""
    try:
        return _named(error)
    except RecursionError:
        return UNKNOWN, "an error that is nested too deeply to be shown"


def _named(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return UNKNOWN, cut(str(error), 500)
    cause, kind = error.get("caused_by"), error.get("type")
    inner = f" ({cause.get('type')}: {cause.get('reason')})" if isinstance(cause, dict) else ""
    return kind if isinstance(kind, str) and kind else UNKNOWN, f"{error.get('reason')}{inner}"
