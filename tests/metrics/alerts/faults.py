"""What befalls each stage: the fault, what it must set off, the way back, and what else it explains."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from uuid import uuid4

import psycopg

from fakes import ProxyFault, Script
from fakes.faults import refused
from metrics.alerts.stage import LONGEST, Stage
from outboxctl.core.database import Database
from outboxctl.sink.index.index_setup import ensure
from processes import eventually
from projections import shop
from sinks import client_of

HOUR = 60.0  # seconds, as the rules' minutes are seconds here
OLD = ("OutboxNoSuccess", "OutboxOldestAgeOverSla")  # what everything ends in that lasts
AWAY = Script.always(refused(503))
BAD = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'not-a-real-op', 1, 'pending'
FROM generate_series(1, 30)
"""


@dataclass(frozen=True)
class Case:
    """`alerts` must go off and be over in the end; besides them only what is `explained` may."""

    befall: Callable[[Stage], None]
    alerts: tuple[str, ...]
    explained: tuple[str, ...] = ()
    workers: int = 1
    settings: dict[str, str] = field(default_factory=dict)


def nothing(stage: Stage) -> None:
    """An hour of load on two workers, one of which is restarted after half of it."""
    _load_for(HOUR / 2, stage)
    stage.worker.signal(signal.SIGTERM)
    assert stage.worker.wait() == 0
    stage.start(stage.ports[0])
    _load_for(HOUR / 2, stage)
    stage.until_done()


def ill_sink(stage: Stage) -> None:
    """The sink refuses everything, under the policy `count`."""
    stage.sink.script = AWAY
    stage.scene.load(100)
    stage.until_firing("OutboxRetryStorm", *OLD)
    stage.sink.script = Script()
    stage.until_done()


def held_sink(stage: Stage) -> None:
    """The same, under the policy `hold`."""
    stage.sink.script = AWAY
    stage.scene.load(5)
    stage.until_firing("OutboxCircuitOpen")
    stage.sink.script = Script()
    stage.until_done()


def slow_sink(stage: Stage) -> None:
    """Every event gets through, and too few do."""
    stage.sink.script = Script.always(ProxyFault(before=0.2))
    stage.scene.load(200)
    stage.until_firing("OutboxOldestAgeOverSla")
    stage.sink.script = Script()
    stage.until_done()


def bad_events(stage: Stage) -> None:
    """An application has learned to write nonsense."""
    stage.scene.sql.execute(BAD)
    stage.until_firing("OutboxTerminalFailures")


def lost_database(stage: Stage) -> None:
    """The database goes away in the middle of the work, with a backlog in every gauge."""
    # For several of the rounds in which gauges are read: on a busy machine they are further apart.
    stage.sink.script = Script.always(ProxyFault(before=10.0))
    stage.scene.load(100)
    stage.until(lambda: stage.worker.metric("outbox_lag_events"), "a backlog")
    stage.database.refuse()
    stage.until_firing("OutboxMetricsStale")
    stage.sink.script = Script()
    stage.database.heal()
    stage.until_done()


def killed_worker(stage: Stage) -> None:
    """The only worker dies."""
    stage.worker.signal(signal.SIGKILL)
    stage.worker.wait()
    stage.until_firing("OutboxWorkerGone")
    stage.start(stage.ports[0])


def newer_index(stage: Stage) -> None:
    """The index holds a version that the source never had."""
    entity, scene = uuid4(), stage.scene
    scene.engine.index(
        index=scene.index, id=f"block:{entity}", document={}, version=10, version_type="external_gte"
    )
    scene.sql.execute(
        "INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)"
        " VALUES (gen_random_uuid(), 'block', %s, 'text', 'text', 1)",
        [entity],
    )
    scene.sql.execute(
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)"
        " VALUES (gen_random_uuid(), 'block', %s, 'upsert', 1, 'pending')",
        [entity],
    )
    stage.until_firing("OutboxVersionAhead")


def restored_database(stage: Stage) -> None:
    """The database says that it is another server than the one whose versions are in the index."""
    scene = stage.scene
    products, db = f"{scene.index}-products", Database(stage.url)
    ensure(client_of(scene.engine), products)
    scene.sql.execute(shop.SCHEMA)
    shop.put_in_force(db, shop.product(products))
    db.close()
    scene.sql.execute("UPDATE outbox_version_base SET system_identifier = '1'")
    shop.changed(scene.sql, 7)
    stage.until_firing("OutboxVersionsRaised")


def stopped_worker(stage: Stage) -> None:
    """One of two stops in the middle of a batch; a person's transaction keeps the other from reclaiming."""
    stage.sink.script = Script.always(ProxyFault(before=0.5))
    stage.scene.load(10)
    stopped = stage.workers[int(eventually(lambda: _owner(stage), within=LONGEST, what="claimed"))]
    stopped.signal(signal.SIGSTOP)
    with psycopg.connect(stage.scene.sql.info.dsn, password=stage.scene.sql.info.password) as person:
        person.execute("SELECT FROM search_outbox_events FOR UPDATE")
        stage.until_firing("OutboxStuck")
    stage.sink.script = Script()
    stage.until_done()
    stage.until_firing("OutboxWorkerGone")
    stopped.signal(signal.SIGCONT)
    stage.until_firing("OutboxLeaseLost")


def broken_worker(stage: Stage) -> None:
    """A worker of a faulty release takes over, and raises what nobody expects in its first turn."""
    stage.worker.signal(signal.SIGTERM)
    assert stage.worker.wait() == 0
    stage.start(stage.ports[0], broken="outboxctl.worker.maintenance:Maintenance.turn")
    stage.until_firing("OutboxUnexpectedErrors")
    stage.scene.load(3)
    stage.until_done()


def _load_for(seconds: float, stage: Stage) -> None:
    end = monotonic() + seconds
    while monotonic() < end:
        stage.scene.load(20)
        sleep(0.2)


def _owner(stage: Stage) -> str | None:
    found = stage.scene.sql.execute(
        "SELECT owner FROM search_outbox_events WHERE status = 'processing' LIMIT 1"
    ).fetchone()
    return found[0] if found else None


QUICK = {
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.05",
    "OUTBOX_MAX_BACKOFF_SECONDS": "0.2",
    "OUTBOX_MAX_ATTEMPTS": "9999",
}
ONE_BY_ONE = {"OUTBOX_BULK_SIZE": "1", "OUTBOX_CONCURRENCY": "1"}
CASES = {
    "healthy": Case(nothing, (), workers=2),
    "ill-sink": Case(ill_sink, ("OutboxRetryStorm", *OLD), settings=QUICK),
    "held-sink": Case(
        held_sink, ("OutboxCircuitOpen",), OLD, settings=QUICK | {"OUTBOX_OUTAGE_POLICY": "hold"}
    ),
    "slow-sink": Case(slow_sink, ("OutboxOldestAgeOverSla",), settings=ONE_BY_ONE),
    "bad-events": Case(bad_events, ("OutboxTerminalFailures",)),
    "lost-database": Case(lost_database, ("OutboxMetricsStale",), OLD),
    "killed-worker": Case(killed_worker, ("OutboxWorkerGone",)),
    # Its start takes seconds, which are the rules' minutes here: nobody is scraped meanwhile.
    "broken-worker": Case(broken_worker, ("OutboxUnexpectedErrors",), ("OutboxWorkerGone",)),
    "newer-index": Case(newer_index, ("OutboxVersionAhead",)),
    "restored-database": Case(restored_database, ("OutboxVersionsRaised",)),
    "stopped-worker": Case(
        stopped_worker,
        ("OutboxStuck", "OutboxWorkerGone", "OutboxLeaseLost"),
        OLD,
        workers=2,
        settings={
            "OUTBOX_LEASE_SECONDS": "1",
            "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
            "OUTBOX_BULK_SIZE": "10",
        },
    ),
}
