"""Tracing of the worker: an extra, loaded only where it is on."""

from typing import TYPE_CHECKING

from outboxctl.errors import UsageError

if TYPE_CHECKING:
    from structlog.typing import Processor

    from outboxctl.settings import Settings
    from outboxctl.worker.tracing import Tracing


def tracing_of(settings: "Settings") -> "tuple[Tracing | None, list[Processor]]":
    """What the worker tells its batches to, and what adds the ids to its log lines; nothing where it is off.

    Raises UsageError where the extra is not installed.
    """
    if not settings.tracing:
        return None, []
    try:
        from outboxctl.worker.spans import log_ids
        from outboxctl.worker.telemetry import traced
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        hint = "pip install 'outboxctl[tracing]', or set OUTBOX_TRACING=off"
        raise UsageError("OUTBOX_TRACING is on, but OpenTelemetry is not installed", hint=hint) from None
    return traced(settings), [log_ids]
