"""A machine that was suspended for longer than a lease: what it had read before is old, and is not sent."""

from collections.abc import Callable

import pytest

from fakes.postgres_proxy import Do, Proxy
from processes import Worker, eventually
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
