"""A worker killed at each step between it and the sink: another one takes over."""

import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from fakes import FakeSink, Point, ProxyFault, fake_sink
from fakes.postgres_proxy import Do, Proxy
from outboxctl.drills.proxy.wire import parse_bulk
from outboxctl.sink.delivery.bulk import BulkAction, body
from processes import Worker, eventually
from scene import READY, Scene

UPSERTS, DELETES = 10, 10
TOTAL = UPSERTS + DELETES
RECLAIMED = f"Reclaimed {TOTAL} stuck outbox events (expired lease or max processing exceeded)"
QUICK = {"OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2"}
Start = Callable[..., Worker]
Stop = Callable[[ExitStack, FakeSink, Proxy], Callable[[], object]]


@pytest.fixture
def well(sink: FakeSink) -> Iterator[FakeSink]:
    """The same documents through another door, at which nothing is held."""
    with fake_sink(store=sink.store) as other:
        yield other


@pytest.fixture
def there(sql: psycopg.Connection, well: FakeSink, index: str) -> Iterator[Scene]:
    """The database, and those documents."""
    with Elasticsearch(well.url) as client:
        yield Scene(sql, client, index)


def fill(scene: Scene, sink: FakeSink) -> list[uuid.UUID]:
    """Entities to index and others to delete, whose documents are there; returns the former."""
    gone = [uuid.uuid4() for _ in range(DELETES)]
    documents = body([BulkAction(f"block:{entity}", 1, "{}") for entity in gone])
    sink.store.bulk(parse_bulk(documents), index=scene.index)
    with scene.sql.transaction():  # all at once, so one batch
        for entity in gone:
            lab.event(scene.sql, entity, 2, op="delete")
        return [lab.put(scene.sql)[0] for _ in range(UPSERTS)]


def at_the_look_up(_: ExitStack, sink: FakeSink, __: Proxy) -> Callable[[], object]:
    sink.script.lookups = ProxyFault(before=3600)
    return lambda: None  # that the events are claimed is all that can be seen


def before_applying(stack: ExitStack, sink: FakeSink, _: Proxy) -> Callable[[], object]:
    return stack.enter_context(sink.script.hold(Point.BEFORE_APPLY)).wait


def after_applying(stack: ExitStack, sink: FakeSink, _: Proxy) -> Callable[[], object]:
    return stack.enter_context(sink.script.hold(Point.AFTER_APPLY)).wait


def before_settling(_: ExitStack, __: FakeSink, proxy: Proxy) -> Callable[[], object]:
    step = proxy.on("SET status = 'done'", Do.HOLD_STATEMENT)
    return lambda: eventually(step.reached.is_set, what="settling")


@pytest.mark.parametrize("stop", [at_the_look_up, before_applying, after_applying, before_settling])
def test_a_crash_at_each_step(
    there: Scene,
    worker: Start,
    sink: FakeSink,
    well: FakeSink,
    database_proxy: Proxy,
    stop: Stop,
) -> None:
    kept = fill(there, sink)
    with ExitStack() as stack:
        reached = stop(stack, sink, database_proxy)
        first = worker(ELASTIC_URL=sink.url, DATABASE_URL=database_proxy.url)
        eventually(lambda: there.count("processing") == TOTAL, what="claimed")
        reached()
        kill(first, database_proxy)
        there.pass_leases()
        second = start(worker, well)
        there.holds(TOTAL)
    assert RECLAIMED in second.log.read_text()
    assert sink.store.versions() == {f"block:{entity}": 1 for entity in kept}
    assert sink.store.steps_back() == []
    assert there.rows("attempts") == [(2,)]
    assert [len(bulk.ids) for bulk in well.requests] == [TOTAL], "together, the first time"


def test_what_a_dead_worker_sent_and_arrives_late_changes_nothing(
    there: Scene, worker: Start, sink: FakeSink, well: FakeSink, database_proxy: Proxy
) -> None:
    updated, removed, same, *_ = fill(there, sink)
    with sink.script.hold(Point.BEFORE_APPLY) as gate:
        first = worker(ELASTIC_URL=sink.url, DATABASE_URL=database_proxy.url)
        gate.wait()
        kill(first, database_proxy)
        lab.source(there.sql, updated, 2)
        lab.event(there.sql, updated, 2)
        there.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [removed])
        lab.event(there.sql, removed, 2, op="delete")
        there.pass_leases()
        start(worker, well)
        there.holds(TOTAL + 2)
    eventually(lambda: len(sink.store.history[f"block:{same}"]) == 2, what="the late request")
    assert sink.store.steps_back() == []
    assert sink.store.versions()[f"block:{updated}"] == 2
    assert f"block:{removed}" not in sink.store.versions()


def start(worker: Start, sink: FakeSink) -> Worker:
    """A worker at the healthy door, up."""
    running = worker(ELASTIC_URL=sink.url, **QUICK)
    eventually(lambda: running.get("/healthz")[0] == READY, what="up")
    return running


def kill(running: Worker, proxy: Proxy) -> None:
    """As the kernel does it: its connections end with it."""
    running.signal(signal.SIGKILL)
    running.wait()
    proxy.cut()
