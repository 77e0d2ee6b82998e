"""A machine that was suspended for longer than a lease, and one whose clock is wrong."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance import lab
from fakes import Point, Script, fake_sink
from fakes.faults import refused
from fakes.postgres_proxy import Do, Proxy
from outboxctl.drills import services
from processes import OUTBOXCTL, Worker, eventually
from scene import Scene
from suspended import CLOCK, resume, suspend

CREATED, CONFLICT = 201, 409
CLAIM = "SET status = 'processing'"
LEASE = "2"  # seconds: the suspend is longer, for the other worker waits for its end
DELETED = """
WITH gone AS (DELETE FROM search_index RETURNING entity_type, entity_id, event_version)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'delete', event_version + 1, 'pending' FROM gone
"""


@pytest.mark.real_engine
def test_a_batch_read_before_a_suspend_does_not_bring_back_what_was_deleted_meanwhile(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy
) -> None:
    """No tombstone helps: they are gone with a restart of the index, whatever `gc_deletes` says."""
    scene.load(20)
    answer = database_proxy.on("COMMIT", Do.HOLD_ANSWER, within=CLAIM)
    own = CLOCK | {"DATABASE_URL": database_proxy.url, "OUTBOX_LEASE_SECONDS": LEASE}
    sleeper = worker(**own, OUTBOX_CONCURRENCY="1")
    eventually(answer.reached.is_set, what="claimed, with the documents as they were")
    suspend(sleeper)
    scene.sql.execute(DELETED)
    other = worker(OUTBOX_RECLAIM_INTERVAL_SECONDS="0.2")
    eventually(lambda: scene.count("done") == 40, what="deleted, and all else delivered, by another worker")
    other.end()
    scene.engine.indices.close(index=scene.index)
    scene.engine.indices.open(index=scene.index)
    before = scene.sent()
    answer.released.set()
    resume(sleeper)
    scene.load(1)
    scene.holds(41)  # its one lane is past what it had read
    assert scene.sent() == before + 1


# A module that Python imports before anything else. The monotonic clock cannot be set, and stays.
SITE = """
import datetime, time
honest, Datetime = time.time, datetime.datetime
class Skewed(Datetime):
    __slots__ = ()
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(honest() - 3600, tz)
time.time = lambda: honest() - 3600
datetime.datetime = Skewed
"""
SECONDS = (
    "SELECT extract(epoch FROM max({0}) - now())::float8 FROM search_outbox_events WHERE {0} IS NOT NULL"
)
DUE = "SELECT count(*) FROM search_outbox_events WHERE next_retry_at > now() - interval '1 min'"


def test_leases_and_retries_are_by_the_databases_clock(
    env: dict[str, str], sql: lab.Sql, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    script = Script.always(refused(503, "unavailable_shards_exception"))
    lab.load(sql, 3)
    with fake_sink(script) as sink, script.hold(Point.BEFORE_APPLY) as gate:
        more = {"PYTHONPATH": str(tmp_path), "ELASTIC_URL": sink.url, "OUTBOX_OUTAGE_POLICY": "count"}
        more |= {"OUTBOX_LEASE_SECONDS": "20", "OUTBOX_METRICS_PORT": str(services.fresh_port())}
        with (tmp_path / "log").open("w") as log:
            worker = subprocess.Popen([*OUTBOXCTL, "worker"], env=env | more, stdout=log, stderr=log)
        try:
            gate.wait()
            assert 0 < lab.one(sql, SECONDS.format("lease_until")) <= 20
            gate.let_go()
            eventually(lambda: lab.one(sql, DUE) == 3)
            assert lab.one(sql, SECONDS.format("next_retry_at")) <= 30
        finally:
            worker.kill()
            worker.wait()
