"""An event that kills its worker each time runs out of attempts, and takes no other event with it."""

import signal
import threading
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from fakes import ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from outboxctl.drills.proxy.passing import Bulk
from processes import Worker, eventually
from scene import Scene

ATTEMPTS, NEIGHBOURS = 3, 20
SETTINGS = {"OUTBOX_MAX_ATTEMPTS": str(ATTEMPTS), "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2"}
NEVER_APPLIED = ProxyFault(apply=False, before=3600)


class Poison:
    """A script: a request with the poison in it is held for ever; the others pass."""

    def __init__(self, document: str) -> None:
        self._document, self._swallowed = document, threading.Semaphore(0)

    def choose(self, bulk: Bulk) -> ProxyFault:
        """Hold it, and say so."""
        if self._document not in bulk.ids:
            return HEALTHY
        self._swallowed.release()
        return NEVER_APPLIED

    def kills(self, running: Worker) -> bool:
        """Whether the worker sent it; then it is dead."""
        if self._swallowed.acquire(blocking=False):
            running.signal(signal.SIGKILL)
            running.wait()
            return True
        return False


@pytest.mark.parametrize("age", ["1 hour", "-1 hour"], ids=["the-oldest", "the-newest"])
def test_a_poison_event_fails_alone(
    sql: psycopg.Connection, index: str, worker: Callable[..., Worker], age: str
) -> None:
    entity, event = lab.put(sql)
    sql.execute("UPDATE search_outbox_events SET created_at = now() - CAST(%s AS interval)", [age])
    poison = Poison(f"block:{entity}")
    with fake_sink(Script(poison.choose)) as sink, Elasticsearch(sink.url) as client:
        scene = Scene(sql, client, index)
        lab.load(sql, NEIGHBOURS)
        for _ in range(ATTEMPTS):
            running = worker(**SETTINGS, ELASTIC_URL=sink.url)
            eventually(partial(poison.kills, running), what="swallowed")
            scene.pass_leases()
        last = worker(**SETTINGS, ELASTIC_URL=sink.url)
        eventually(lambda: (scene.count("failed"), scene.count("done")) == (1, NEIGHBOURS), what="all ended")
        assert len(sink.requests[0].ids) == NEIGHBOURS + 1, "all were in the same first batch"
    row = lab.event_row(sql, event)
    assert (row["status"], row["error_reason"], row["attempts"]) == ("failed", "lease_expired", ATTEMPTS)
    assert scene.rows("max(attempts) FILTER (WHERE status = 'done')") == [(2,)]
    eventually(lambda: last.metric("outbox_terminal_failed_total", reason="lease_expired") == 1)
