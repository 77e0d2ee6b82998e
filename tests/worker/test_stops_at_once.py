"""A signal stops claims at once; what was claimed before is finished, or given back and counted."""

import json
import signal
import threading
from collections.abc import Callable
from functools import partial
from random import Random

import psycopg
import pytest

from fakes import ProxyFault, Script, fake_sink
from fakes.postgres_proxy import Do, Proxy
from outboxctl.core.database import Database
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker.daemon import Daemon
from outboxctl.worker.health import Health
from outboxctl.worker.parts import WorkerParts
from processes import Worker, eventually
from scene import Scene
from servers import Servers

Start = Callable[..., Worker]
CLAIM = "SET status = 'processing'"
ROUNDS, TOTAL, BATCH = 6, 6_000, 100
UNTOUCHED = "UPDATE search_outbox_events SET updated_at = created_at WHERE status = 'pending'"
GIVEN_BACK = "SELECT FROM search_outbox_events WHERE status = 'pending' AND updated_at <> created_at"


def last_words(stopped: Worker, *more: str) -> dict[str, int]:
    """What it says of its end."""
    lines = [json.loads(line) for line in stopped.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "worker stopped"]
    return {name: line[name] for name in ("done", "released", *more)}


def stop(running: Worker) -> dict[str, int]:
    """SIGTERM, to the end."""
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
    return last_words(running)


def _done(scene: Scene, events: int) -> bool:
    return scene.count("done") >= events


@pytest.mark.parametrize("mode", [(), ("--drain",)], ids=["daemon", "drain"])
def test_a_batch_that_is_being_claimed_is_still_delivered(
    scene: Scene, worker: Start, database_proxy: Proxy, mode: tuple[str, ...]
) -> None:
    scene.load(20)
    claim = database_proxy.on("COMMIT", Do.HOLD_ANSWER, within=CLAIM)
    running = worker(*mode, DATABASE_URL=database_proxy.url, OUTBOX_CONCURRENCY="1", OUTBOX_BULK_SIZE="10")
    eventually(claim.reached.is_set, what="claimed")
    running.signal(signal.SIGTERM)
    eventually(lambda: "draining" in running.get("/readyz")[1], what="stopping")
    claim.released.set()
    assert running.wait() == 0
    assert last_words(running) == {"done": 10, "released": 0}
    assert scene.rows("status, attempts") == [("done", 1), ("pending", 0)], "no second batch"
    assert scene.count("done") == 10


def test_the_last_words_are_what_the_database_holds(
    scene: Scene, sql: psycopg.Connection, worker: Start, servers: Servers
) -> None:
    """Signals at random moments of a busy worker; nobody else works, so each event is in one of two sums."""
    rng = Random(10)
    scene.load(TOTAL)
    with fake_sink(Script.always(ProxyFault(before=0.02)), upstream=servers.sink) as sink:
        for _ in range(ROUNDS):
            sql.execute(UNTOUCHED)
            before = scene.count("done")
            running = worker(ELASTIC_URL=sink.url, OUTBOX_BULK_SIZE=str(BATCH))
            moment = before + rng.randrange(1, TOTAL // ROUNDS // 2)
            eventually(partial(_done, scene, moment), what="the moment")
            said = stop(running)
            assert said["done"] == scene.count("done") - before
            assert said["released"] == len(sql.execute(GIVEN_BACK).fetchall()) == 0
            assert scene.count("processing") == 0
    assert 0 < scene.count("done") < TOTAL, "each signal met a busy worker"


def parts_on(url: str, db: Database) -> WorkerParts:
    return WorkerParts(load(database_url=url), db, None, Metrics(), Health(300))  # type: ignore[arg-type]


def test_the_handler_waits_for_no_lock(url: str, db: Database) -> None:
    """A signal may come while its own thread holds it: then the handler would wait for itself."""
    daemon = Daemon(load(database_url=url), db, None, None)  # type: ignore[arg-type]
    signals = daemon.signals
    with signals._changed:
        handler = threading.Thread(target=daemon._on_signal, args=(signal.SIGTERM, None), daemon=True)
        handler.start()
        handler.join(10)
        assert not handler.is_alive()
    assert signals.stopping, "without a tick"


def test_no_claim_is_begun_after_the_handler(url: str, db: Database, scene: Scene) -> None:
    """Nobody has come round to wake those who wait yet; lanes look themselves."""
    scene.load(5)
    parts = parts_on(url, db)
    parts.context.signals.request_stop()
    lane = parts.lane(drain=True)
    lane.run()
    assert lane.error is None
    assert scene.rows("status, attempts") == [("pending", 0)]
