"""The drills of the sink."""

import os
from dataclasses import replace

from drills.labs.breakages import Breakage
from outboxctl.domain import failures
from outboxctl.domain.failures import DONE, FailureRule, Reason, Verdict

CONFLICT = "version_conflict_engine_exception"


def overload_is_ignored() -> None:
    """A worker that ignores the 429 and its Retry-After."""
    from outboxctl.worker.throttle import Throttle

    Throttle.learn = lambda *_args, **_given: None  # type: ignore[method-assign]


def http_200_is_trusted() -> None:
    """Every item of a request that succeeded counts as done."""
    from outboxctl.sink.delivery.bisect import Bisection

    Bisection._items = lambda *given: [DONE] * len(given[1])  # type: ignore[method-assign]


def a_block_is_the_events_fault() -> None:
    """403 counts as an error of the event."""
    _judge(Reason.WRITE_BLOCKED, Verdict.FAIL)


def a_mapping_is_retried() -> None:
    """An error that no retry can repair is retried."""
    _judge(Reason.MAPPING, Verdict.RETRY)


def one_too_large_fails_all() -> None:
    """413 fails each event of the request."""
    _judge(Reason.PAYLOAD_TOO_LARGE, Verdict.FAIL)


def the_lease_is_no_deadline() -> None:
    """A request may take as long as it likes."""
    from outboxctl.domain.clock import Deadline

    Deadline.seconds_left = lambda *_: 3600.0  # type: ignore[method-assign]


def the_same_version_is_a_conflict() -> None:
    """A second write of the same version is refused, and counts as an error."""
    from outboxctl.sink.delivery import bulk, deliver

    honest = bulk.body
    deliver.body = lambda actions: honest(actions).replace(b'"external_gte"', b'"external"')  # type: ignore[attr-defined]
    error = FailureRule(Verdict.FAIL, Reason.UNKNOWN_EXCEPTION, kinds=frozenset({CONFLICT}))
    failures.RULES = (error, *failures.RULES)  # type: ignore[assignment]


def an_outage_burns_attempts() -> None:
    """The other outage policy is set."""
    os.environ["OUTBOX_OUTAGE_POLICY"] = "count"


def backoff_without_jitter() -> None:
    """Events that failed at one moment are retried at one moment."""
    from outboxctl.domain import backoff

    backoff.delay = lambda attempts, *, base, cap, rng: min(cap, base * 2.0 ** (attempts - 1))  # noqa: ARG005


def _judge(reason: Reason, verdict: Verdict) -> None:
    """Another verdict in the rules that give this reason."""
    failures.RULES = tuple(  # type: ignore[assignment]
        replace(rule, verdict=verdict) if rule.reason is reason else rule for rule in failures.RULES
    )


BREAKAGES: dict[str, Breakage] = {
    "es-429": overload_is_ignored,
    "es-bulk-partial": http_200_is_trusted,
    "es-write-block": a_block_is_the_events_fault,
    "es-mapping-conflict": a_mapping_is_retried,
    "oversized-event": one_too_large_fails_all,
    "slow-sink": the_lease_is_no_deadline,
    "apply-then-drop": the_same_version_is_a_conflict,
    "outage-hold": an_outage_burns_attempts,
    "thundering-herd": backoff_without_jitter,
}
