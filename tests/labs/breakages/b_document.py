"""The six labs of the document."""

from labs.breakages import Breakage


def nothing_is_reclaimed() -> None:
    """A worker whose maintenance never frees what a dead one held."""
    from outboxctl.worker.maintenance import Maintenance

    Maintenance.reclaim = lambda _self: None  # type: ignore[method-assign, assignment]


def unknown_ops_are_retried() -> None:
    """An op that nobody knows counts as an error that may pass."""
    from outboxctl.failures import Finding, Reason, Verdict
    from outboxctl.worker import prepare

    prepare._never = lambda text: Finding(Verdict.RETRY, Reason.UNKNOWN_EXCEPTION, error=text)


BREAKAGES: dict[str, Breakage] = {
    "kill-and-heal": nothing_is_reclaimed,
    "bad-op": unknown_ops_are_retried,
}
