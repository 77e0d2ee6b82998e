"""Drills of workers, events and the database."""

import os
import re
from contextlib import closing
from typing import Any

from drills.labs.breakages import Breakage
from outboxctl.core.sql import text

VERSION = r',"version":\d+,"version_type":"external_gte"'


def settles_without_a_fence() -> None:
    """A worker settles events that another has claimed since."""
    from outboxctl.core.delivery import settle

    for name in ("COMPLETE", "RETRY", "FAIL"):
        written = str(getattr(settle, name))
        setattr(settle, name, text(re.sub(r"AND (e\.)?lease_token = CAST\(:token AS uuid\)", "", written)))


def claims_what_others_hold() -> None:
    """A worker claims events that another holds."""
    from outboxctl.core.delivery import claim

    fresh = "status = 'pending' AND next_retry_at IS NULL"
    taken = str(claim.CLAIM).replace(fresh, "status <> 'done' AND next_retry_at IS NULL")
    claim.CLAIM = text(
        taken.replace("ORDER BY next_retry_at, created_at\n", "ORDER BY status DESC, created_at\n")
    )


def writes_without_versions() -> None:
    """The last write wins, whatever its version."""
    from outboxctl.sink.delivery import bulk

    honest = bulk.body

    def body(actions: Any) -> bytes:
        lines = honest(actions).decode().split("\n")
        return "\n".join(re.sub(VERSION, "", line) for line in lines).encode()

    bulk.body = body


def believes_the_event() -> None:
    """A delete event deletes the document although the row exists."""
    from outboxctl.worker import prepare

    honest = prepare._action

    def believing(newest: Any) -> Any:
        action = honest(newest)
        return action._replace(document=None) if newest.op == "delete" else action

    prepare._action = believing


def reclaimed_events_go_together() -> None:
    """A reclaimed event is sent together with others."""
    from outboxctl.core.delivery import leases

    reason = "error_reason = 'lease_expired'"
    leases.RECLAIM = text(str(leases.RECLAIM).replace(reason, "error_reason = NULL"))


def dies_with_the_database() -> None:
    """The worker exits when the database is unreachable."""
    from outboxctl.worker.health import Health

    honest = Health.report

    def report(self: Any, name: str, problem: Any, **more: Any) -> None:
        if name == "database" and problem:
            os._exit(3)
        honest(self, name, problem, **more)

    Health.report = report  # type: ignore[method-assign]


def reads_are_enough() -> None:
    """A database that answers counts as healthy."""
    from outboxctl.worker.health import Health

    honest = Health.report

    def report(self: Any, name: str, problem: Any, **more: Any) -> None:
        honest(self, name, None if name == "database" else problem, **more)

    Health.report = report  # type: ignore[method-assign]


def writes_to_the_index_it_found_first() -> None:
    """The name of an index is looked up once, at the start."""
    from outboxctl.settings import load
    from outboxctl.sink.transport.open import connect
    from outboxctl.sink.transport.request import demand

    settings = load()
    with closing(connect(settings)) as client:
        (found,) = demand(client, "GET", settings.elastic_index)
    os.environ["ELASTIC_INDEX"] = found


def leases_by_its_own_clock() -> None:
    """Leases by the worker's own clock."""
    from datetime import UTC, datetime

    from outboxctl.core.delivery import claim

    honest = claim.claim
    claim.claim = lambda *args, **more: honest(*args, **more, now=datetime.now(UTC))


BREAKAGES: dict[str, Breakage] = {
    "zombie-worker": settles_without_a_fence,
    "two-workers": claims_what_others_hold,
    "duplicate-delivery": writes_without_versions,
    "stale-event": believes_the_event,
    "delete-then-stale": writes_without_versions,
    "rebuild-under-load": writes_to_the_index_it_found_first,
    "clock-skew": leases_by_its_own_clock,
    "db-restart": dies_with_the_database,
    "db-readonly": reads_are_enough,
    "db-terminate": dies_with_the_database,
    "poison-event": reclaimed_events_go_together,
}
