"""Deletes are repeated until no older write can be on its way, whatever dies meanwhile."""

import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from fakes import FakeSink, ProxyFault
from fakes.faults import refused
from fakes.postgres_proxy import Do, Proxy
from outboxctl.drills import services
from outboxctl.drills.proxy.wire import parse_bulk
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction, body
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.open import connect
from processes import Cli, Worker, eventually
from scene import Scene

Start = Callable[..., Worker]
QUICK = {"OUTBOX_LEASE_SECONDS": "5", "OUTBOX_LATE_WRITE_SECONDS": "20"}
LAST = 25  # seconds after its delivery a delete is sent for the last time
REPEATED = "outbox_deletes_repeated_total"
# Taken for a lease by a worker that is gone, or delivered so long ago: due.
AGE = """
UPDATE outbox_deletes SET due_at = now(),
    delivered_at = least(delivered_at, now() - make_interval(secs => %s))
"""


@pytest.fixture
def there(sql: psycopg.Connection, sink: FakeSink, index: str) -> Iterator[Scene]:
    """The database, and that index."""
    with Elasticsearch(sink.url) as client:
        yield Scene(sql, client, index)


def delete(scene: Scene, sink: FakeSink, cli: Cli, count: int = 1) -> list[str]:
    """Have so many entities deleted at version 6; the ids of their documents."""
    entities = [uuid.uuid4() for _ in range(count)]
    with scene.sql.transaction():
        for entity in entities:
            lab.event(scene.sql, entity, 6, op="delete")
    cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url, **QUICK})
    assert scene.rows("status") == [("done",)]
    assert left(scene) == count
    return [f"block:{entity}" for entity in entities]


def left(scene: Scene) -> int:
    """How many deletes are still to be sent."""
    return len(scene.sql.execute("SELECT FROM outbox_deletes").fetchall())


def due(scene: Scene) -> int:
    """How many of them now."""
    return len(scene.sql.execute("SELECT FROM outbox_deletes WHERE due_at <= now()").fetchall())


def come_back(sink: FakeSink, documents: list[str]) -> None:
    """The index forgets the deletes, and older writes arrive."""
    sink.store.forget_tombstones()
    late = body([BulkAction(document, 5, "{}") for document in documents])
    sink.store.bulk(parse_bulk(late), index="any")
    assert len(sink.store.versions()) == len(documents)


def test_what_came_back_by_a_late_write_is_deleted_again_and_said(
    there: Scene, worker: Start, cli: Cli, sink: FakeSink
) -> None:
    documents = delete(there, sink, cli, 3)
    come_back(sink, documents[:2])
    running = worker(ELASTIC_URL=sink.url, **QUICK)
    there.sql.execute(AGE, [LAST])
    eventually(lambda: left(there) == 0, what="sent for the last time")
    assert sink.store.versions() == {}
    eventually(lambda: running.metric(REPEATED, result="deleted") == 2, what="counted")
    assert running.metric(REPEATED, result="missing") == 1
    assert "had come back by a write that was late" in running.log.read_text()
    assert running.metric("outbox_processed_total") == 0, "no event of anybody"


def test_a_write_that_comes_between_two_times_is_found_by_the_next(
    there: Scene, cli: Cli, sink: FakeSink
) -> None:
    documents = delete(there, sink, cli)
    drain = {"ELASTIC_URL": sink.url, **QUICK}
    cli.ok("worker", "--drain", env=drain)
    assert [len(each.ids) for each in sink.requests] == [1], "nothing is due, and a drain does not wait"
    there.sql.execute(AGE, [5])
    cli.ok("worker", "--drain", env=drain)
    assert [len(each.ids) for each in sink.requests] == [1, 1]
    assert (left(there), due(there)) == (1, 0), "it will be sent once more"
    come_back(sink, documents)
    there.sql.execute(AGE, [LAST])
    cli.ok("worker", "--drain", env=drain)
    assert sink.store.versions() == {}
    assert left(there) == 0


def test_a_document_whose_entity_was_created_again_stays(there: Scene, cli: Cli, sink: FakeSink) -> None:
    """With the version of its delete, as some applications count."""
    (document,) = delete(there, sink, cli)
    lab.source(there.sql, uuid.UUID(document.partition(":")[2]), 6)
    lab.event(there.sql, uuid.UUID(document.partition(":")[2]), 6)
    there.sql.execute(AGE, [LAST])
    cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url, **QUICK})
    assert sink.store.versions() == {document: 6}
    assert left(there) == 0


@pytest.mark.parametrize("version", [2, 9])
def test_a_row_of_another_version_than_its_delete_ends_it(
    there: Scene, cli: Cli, sink: FakeSink, version: int
) -> None:
    """Created again with lower versions, or higher ones."""
    (document,) = delete(there, sink, cli)
    lab.source(there.sql, uuid.UUID(document.partition(":")[2]), version)
    lab.event(there.sql, uuid.UUID(document.partition(":")[2]), version)
    sink.store.forget_tombstones()
    cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url, **QUICK})
    there.sql.execute(AGE, [LAST])
    cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url, **QUICK})
    assert sink.store.versions() == {document: version}
    assert left(there) == 0


@pytest.mark.real_engine
@pytest.mark.slow(reason="an engine of its own, killed and started again")
def test_the_engine_is_killed_between_a_delete_and_a_late_older_write(
    sql: psycopg.Connection, cli: Cli, tmp_path: Path
) -> None:
    entity, index = uuid.uuid4(), "killed"
    own = services.start_search(tmp_path, fresh=True)
    env = {"ELASTIC_URL": own.url, "ELASTIC_INDEX": index, **QUICK}
    try:
        ensure(connect(load(elastic_url=own.url)), index)
        lab.source(sql, entity, 5)
        lab.event(sql, entity, 5)
        cli.ok("worker", "--drain", env=env)
        with Elasticsearch(own.url) as client:
            late = lab.document(client, index, entity)
            sql.execute("DELETE FROM search_index")
            lab.event(sql, entity, 6, op="delete")
            cli.ok("worker", "--drain", env=env)
            client.indices.flush(index=index, force=True)  # else the log of operations has the delete
        engine = own.process  # None once it has ended
        assert engine
        engine.kill()
        engine.wait()
        services.start_search(tmp_path)
        with Elasticsearch(own.url) as client:
            client.index(
                index=index, id=f"block:{entity}", document=late, version=5, version_type="external_gte"
            )
            assert lab.document(client, index, entity) == late, "the tombstone is gone"
            sql.execute(AGE, [LAST])
            cli.ok("worker", "--drain", env=env)
            assert lab.document(client, index, entity) is None
        assert sql.execute("SELECT FROM outbox_deletes").fetchall() == []
    finally:
        services.down(tmp_path, purge=True)


@pytest.mark.parametrize("step", ["taken", "sent"])
def test_what_a_killed_worker_had_taken_is_sent_by_another(
    there: Scene, worker: Start, cli: Cli, sink: FakeSink, database_proxy: Proxy, step: str
) -> None:
    documents = delete(there, sink, cli, 3)
    there.sql.execute(AGE, [LAST])
    if step == "taken":
        sink.script.lookups = ProxyFault(before=3600)
        reached: Callable[[], bool] = lambda: due(there) == 0  # noqa: E731
    else:
        reached = database_proxy.on("DELETE FROM", Do.HOLD_STATEMENT).reached.is_set
    first = worker(ELASTIC_URL=sink.url, DATABASE_URL=database_proxy.url, **QUICK)
    eventually(reached, what=step)
    first.signal(signal.SIGKILL)
    first.wait()
    database_proxy.cut()
    sink.script.lookups = ProxyFault()
    assert left(there) == 3
    come_back(sink, documents)
    there.sql.execute(AGE, [LAST])
    cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url, **QUICK})
    assert sink.store.versions() == {}
    assert left(there) == 0


@pytest.mark.slow(reason="real workers for some seconds")
def test_an_outage_loses_none_and_is_not_flooded(
    there: Scene, worker: Start, cli: Cli, sink: FakeSink
) -> None:
    documents = delete(there, sink, cli, 200)
    sent = len(sink.requests)
    sink.script.lookups = refused(503)
    there.sql.execute(AGE, [LAST])
    worker(ELASTIC_URL=sink.url, OUTBOX_BULK_SIZE="20", OUTBOX_MAX_BACKOFF_SECONDS="0.2", **QUICK)
    eventually(lambda: due(there) <= 180, what="a batch was refused")
    assert left(there) == 200
    assert len(sink.requests) == sent
    come_back(sink, documents)
    sink.script.lookups = ProxyFault()
    eventually(lambda: left(there) == 0, what="sent")
    assert sink.store.versions() == {}
