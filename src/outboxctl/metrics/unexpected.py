"""An error that no rule expects: logged with its traceback, and counted, so that an alert can fire."""

import structlog

from outboxctl.metrics.registry import Metrics

log = structlog.get_logger()


def report(metrics: Metrics, thread: str, error: BaseException) -> None:
    """Log an unexpected error of a thread, which goes on; then count it."""
    log.error("unexpected error", thread=thread, error=f"{type(error).__name__}: {error}", exc_info=error)
    metrics.count("unexpected", 1)
