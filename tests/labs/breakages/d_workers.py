"""Drills of workers, events and the database."""

import os
import re
from contextlib import closing
from typing import Any

from sqlalchemy import text

from labs.breakages import Breakage

VERSION = r',"version":\d+,"version_type":"external_gte"'


def settles_without_a_fence() -> None:
    """Whoever answers last is right, whether the events are still its own or not."""
    from outboxctl.core import settle

    for name in ("COMPLETE", "RETRY", "FAIL"):
        written = str(getattr(settle, name)).partition("WHERE")
        by_id = "id = ANY (CAST(:ids AS uuid[]))" if "unnest" not in written[0] else "e.id = n.id"
        returned = "RETURNING id::text" if "unnest" not in written[0] else "RETURNING e.id::text"
        setattr(settle, name, text(f"{written[0]} WHERE {by_id} {returned}"))


def claims_what_others_hold() -> None:
    """An event in another's hands is as good as one that waits."""
    from outboxctl.core import claim

    fresh = "status = 'pending' AND next_retry_at IS NULL"
    claim.CLAIM = text(str(claim.CLAIM).replace(fresh, "status <> 'done' AND next_retry_at IS NULL"))


def writes_without_versions() -> None:
    """The last write wins, whatever it is of."""
    from outboxctl.sink import bulk

    honest = bulk.body

    def body(actions: Any) -> bytes:
        lines = honest(actions).decode().split("\n")
        return "\n".join(re.sub(VERSION, "", line) for line in lines).encode()

    bulk.body = body


def believes_the_event() -> None:
    """A delete is a delete, though the row is there."""
    from outboxctl.worker import prepare

    honest = prepare._action

    def believing(id_: str, events: Any) -> Any:
        newest = max(events, key=prepare._version)
        action = honest(id_, events)
        return action._replace(document=None) if newest.op == "delete" else action

    prepare._action = believing


def reclaimed_events_go_together() -> None:
    """What killed its worker is sent with all others, again."""
    from outboxctl.core import reclaim

    reason = "error_reason = 'lease_expired'"
    reclaim.RECLAIM = text(str(reclaim.RECLAIM).replace(reason, "error_reason = NULL"))


def dies_with_the_database() -> None:
    """No database, no worker: let somebody else start it again."""
    from outboxctl.worker.health import Health

    honest = Health.report

    def report(self: Any, name: str, problem: str | None, **more: Any) -> None:
        if name == "database" and problem:
            os._exit(3)
        honest(self, name, problem, **more)

    Health.report = report  # type: ignore[method-assign]


def reads_are_enough() -> None:
    """A database that answers is well."""
    from outboxctl.worker.health import Health

    honest = Health.report

    def report(self: Any, name: str, problem: str | None, **more: Any) -> None:
        honest(self, name, None if name == "database" else problem, **more)

    Health.report = report  # type: ignore[method-assign]


def writes_to_the_index_it_found_first() -> None:
    """The name of an index is looked up once, at the start."""
    from outboxctl.settings import load
    from outboxctl.sink.client import connect

    settings = load()
    with closing(connect(settings)) as client:
        (found,) = client.indices.get(index=settings.elastic_index)
    os.environ["ELASTIC_INDEX"] = found


def leases_by_its_own_clock() -> None:
    """What time it is, a worker knows itself."""
    from datetime import UTC, datetime

    from outboxctl.core import claim

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
