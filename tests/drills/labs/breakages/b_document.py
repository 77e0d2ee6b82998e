"""The six labs of the document."""

import os

from drills.labs.breakages import Breakage


def nothing_is_reclaimed() -> None:
    """Maintenance never reclaims the events of a dead worker."""
    from outboxctl.worker.maintenance import Maintenance

    Maintenance.reclaim = lambda _self: None  # type: ignore[method-assign, assignment]


def retries_come_at_once() -> None:
    """No backoff: a failed event is due at once."""
    from outboxctl.domain import backoff

    backoff.delay = lambda *_args, **_more: 0.0


def unknown_ops_are_retried() -> None:
    """An unknown op is retried."""
    from outboxctl.domain.failures import Classification, Reason, Verdict
    from outboxctl.worker import prepare

    prepare._never = lambda text: Classification(Verdict.RETRY, Reason.UNKNOWN_EXCEPTION, error=text)


def attempts_have_no_end() -> None:
    """Retries go on whatever the limit says."""
    os.environ["OUTBOX_MAX_ATTEMPTS"] = "1000000"


def replayed_events_are_passed_over() -> None:
    """A claim that takes only events that were never replayed."""
    from outboxctl.core.delivery import claim
    from outboxctl.core.sql import text

    never = "WHERE status = 'pending' AND replay_count = 0"
    claim.CLAIM = text(str(claim.CLAIM).replace("WHERE status = 'pending'", never))


def stopping_drops_everything() -> None:
    """SIGTERM ends the process without finishing its batch."""
    from outboxctl.worker.stopping import Stopping

    Stopping.run = lambda *_args, **_more: True  # type: ignore[method-assign]


BREAKAGES: dict[str, Breakage] = {
    "kill-and-heal": nothing_is_reclaimed,
    "outage-and-backoff": retries_come_at_once,
    "bad-op": unknown_ops_are_retried,
    "attempts-exhausted": attempts_have_no_end,
    "audited-replay": replayed_events_are_passed_over,
    "daemon": stopping_drops_everything,
}
