"""What a worker holds is bounded by bytes, whatever the rows are."""

from collections.abc import Callable
from time import sleep

import psutil
import psycopg
import pytest

from fakes import FakeSink, fake_sink
from processes import Worker
from scene import Scene

EVENTS, MEGABYTE = 150, 1_000_000
# Some 90 MB are Python, the client and the driver; three batches of 8 MB are held as text and as a body.
# Without a bound all 150 events are one batch, and the worker holds 600 MB.
MOST = 250


def load(sql: psycopg.Connection) -> None:
    sql.execute(
        "WITH written AS (INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)"
        " SELECT gen_random_uuid(), 'block', gen_random_uuid(), repeat('x', %s), '', 1"
        " FROM generate_series(1, %s) RETURNING entity_type, entity_id)"
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)"
        " SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', 1, 'pending' FROM written",
        [MEGABYTE, EVENTS],
    )


def peak(scene: Scene, running: Worker) -> float:
    """The most MB that it held until everything was done."""
    process, most, left = psutil.Process(running.process.pid), 0, 3_000
    while scene.count("done") < EVENTS:
        most, left = max(most, process.memory_info().rss), left - 1
        assert left, "not done"
        sleep(0.02)
    return most / 1e6


@pytest.mark.slow(reason="real workers for some seconds")
def test_documents_of_a_megabyte_do_not_make_a_worker_large(
    scene: Scene, worker: Callable[..., Worker]
) -> None:
    load(scene.sql)
    with fake_sink() as sink:
        running = worker(ELASTIC_URL=sink.url)
        assert peak(scene, running) < MOST
        assert largest(sink) <= 9 * MEGABYTE
    assert scene.rows("status, attempts") == [("done", 1)]


def largest(sink: FakeSink) -> int:
    return max(bulk.size for bulk in sink.requests)
