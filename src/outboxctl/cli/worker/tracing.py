"""Tracing of the worker: an extra, loaded only where it is on."""

from typing import TYPE_CHECKING

from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from structlog.typing import Processor

    from outboxctl.settings import Settings
    from outboxctl.worker.tracing import Tracing


def log_ids_of(settings: "Settings") -> "list[Processor]":
    """What adds the ids to log lines; nothing where tracing is off.

    Raises UsageError where the extra is not installed.
    """
    if not settings.tracing:
        return []
    try:
        from outboxctl.worker.spans import log_ids
        from outboxctl.worker.telemetry import traced  # noqa: F401 - is all of it there?
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        hint = "pip install 'outboxctl[tracing]', or set OUTBOX_TRACING=off"
        raise UsageError("OUTBOX_TRACING is on, but OpenTelemetry is not installed", hint=hint) from None
    return [log_ids]


def tracing_of(settings: "Settings") -> "Tracing | None":
    """What the worker tells its batches to; None where tracing is off.

    Raises UsageError for variables of OpenTelemetry that mean what there is not.
    """
    if not settings.tracing:
        return None
    from outboxctl.worker.telemetry import traced

    return traced(settings)
