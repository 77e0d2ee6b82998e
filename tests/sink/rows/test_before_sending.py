"""What no answer decides: the bad row has its own end, its neighbours are delivered."""

import uuid

import pytest

from acceptance import lab
from claiming import claimed
from fakes import FakeSink
from outboxctl.core.delivery.leases import reclaim
from processes import Cli
from sink.rows.bench import DONE, Bench, End, Put, end, metric

MAX_ATTEMPTS = 2
NEVER = End("failed", "deterministic_exception", 1, waits=False)


@pytest.fixture
def neighbours(bench: Bench) -> list[Put]:
    """Rows that have nothing to do with the bad one."""
    return bench.put(2)


def changed(bench: Bench, column: str, value: object) -> Put:
    """An event like any other but for one column; the oldest, so first in its batch."""
    (put,) = bench.put()
    query = f"UPDATE search_outbox_events SET {column} = %s, created_at = '1999-01-01' WHERE id = %s"
    bench.sql.execute(query, [value, put.event])
    return put


def deliver_beside(bench: Bench, sink: FakeSink, neighbours: list[Put]) -> None:
    """Deliver, with the neighbours in the same batch and unharmed."""
    bench.to(sink)
    assert {bench.end(put) for put in neighbours} == {DONE}


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("op", "not-a-real-op", "Unknown outbox op: 'not-a-real-op'"),
        ("op", "UPSERT", "Unknown outbox op: 'UPSERT'"),
        ("op", "", "Unknown outbox op: ''"),
        ("event_version", None, "event_version"),
        ("event_version", -1, "event_version"),
        ("event_version", -(2**63), "event_version"),
    ],
)
def test_deterministic_exception(
    bench: Bench, sink: FakeSink, neighbours: list[Put], column: str, value: object, text: str
) -> None:
    bad = changed(bench, column, value)
    deliver_beside(bench, sink, neighbours)
    assert bench.end(bad) == NEVER
    assert text in lab.event_row(bench.sql, bad.event)["error"]
    assert bad.document not in sink.store.versions()


@pytest.mark.parametrize("version", [None, -1])
def test_deterministic_exception__a_source_row_without_a_usable_version(
    bench: Bench, sink: FakeSink, neighbours: list[Put], version: int | None
) -> None:
    (bad,) = bench.put(version=version)
    deliver_beside(bench, sink, neighbours)
    assert bench.end(bad) == NEVER


def test_deterministic_exception__an_id_over_512_bytes(adopted: Bench, sink: FakeSink) -> None:
    (longest,) = adopted.put(kind="x" * (512 - 37))
    (bad,) = adopted.put(kind="x" * (513 - 37))
    deliver_beside(adopted, sink, [longest])
    assert adopted.end(bad) == NEVER


def test_source_missing_is_a_versioned_delete(bench: Bench, sink: FakeSink, neighbours: list[Put]) -> None:
    (put,) = bench.put()
    bench.to(sink)
    bench.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [put.entity])
    again = Put(put.entity, lab.event(bench.sql, put.entity, 2))
    metrics = bench.to(sink)
    assert bench.end(again) == DONE
    assert sink.store.history[put.document] == [("index", 1), ("delete", 2)]
    assert metric(metrics, "outbox_idempotent_noop_total", reason="source_missing") == 1
    assert {bench.end(put) for put in neighbours} == {DONE}


def test_source_not_visible(bench: Bench, sink: FakeSink, neighbours: list[Put]) -> None:
    bad = changed(bench, "event_version", 2)
    deliver_beside(bench, sink, neighbours)
    assert bench.end(bad) == end("retry", "source_not_visible", "count")
    assert bad.document not in sink.store.versions()


def test_coalesced(bench: Bench, sink: FakeSink, neighbours: list[Put]) -> None:
    entity = uuid.uuid4()
    lab.source(bench.sql, entity, 3)
    events = [Put(entity, lab.event(bench.sql, entity, version)) for version in (3, 1, 2)]
    metrics = bench.to(sink)
    assert {bench.end(put) for put in events + neighbours} == {DONE}
    assert sink.store.history[events[0].document] == [("index", 3)], "sent once"
    assert metric(metrics, "outbox_idempotent_noop_total", reason="coalesced") == 2
    assert metric(metrics, "outbox_processed_total") == 5


def recreate(bench: Bench, put: Put, version: int) -> Put:
    """Delete an entity and make it again at another version, as an application with counters would."""
    bench.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [put.entity])
    lab.source(bench.sql, put.entity, version)
    return Put(put.entity, lab.event(bench.sql, put.entity, version))


def test_a_recreated_entity_below_the_index_is_counted(bench: Bench, sink: FakeSink) -> None:
    (put,) = bench.put(version=5)
    bench.to(sink)
    again = recreate(bench, put, 1)
    metrics = bench.to(sink)
    assert bench.end(again) == DONE
    assert metric(metrics, "outbox_idempotent_noop_total", reason="superseded") == 1
    assert metric(metrics, "outbox_version_ahead_total") == 1
    assert sink.store.versions() == {put.document: 5}


def test_growing_versions_are_no_news(bench: Bench, sink: FakeSink) -> None:
    (put,) = bench.put(version=5)
    bench.to(sink)
    again = recreate(bench, put, 6)
    assert metric(bench.to(sink), "outbox_version_ahead_total") == 0
    assert (bench.end(again), sink.store.versions()) == (DONE, {put.document: 6})


def test_discarded(bench: Bench, cli: Cli, sink: FakeSink) -> None:
    bad, neighbour = bench.put(2)
    bench.sql.execute("UPDATE search_outbox_events SET op = 'bad' WHERE id = %s", [bad.event])
    bench.to(sink)
    cli.ok("failed", "discard", "--by", "alice", "--reason", "not ours", "--id", str(bad.event))
    assert bench.end(bad) == End("done", "discarded", 1, waits=False)
    assert bench.end(neighbour) == DONE
    assert lab.one(bench.sql, "SELECT count(*) FROM outbox_operator_audit WHERE action = 'discard'") == 1
    assert bad.document not in sink.store.versions()


def test_lease_expired(bench: Bench, sink: FakeSink) -> None:
    (poison,) = bench.put()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        die_with_it(bench)
        ended = bench.end(poison)
        expected = "failed" if attempt == MAX_ATTEMPTS else "pending"
        assert ended == End(expected, "lease_expired", attempt, waits=False)
    (neighbour,) = bench.put()
    metrics = bench.to(sink)
    assert bench.end(neighbour) == DONE
    assert metric(metrics, "outbox_processed_total") == 1


def die_with_it(bench: Bench) -> None:
    """Claim, never settle, and let the lease run out."""
    with bench.database.begin() as connection:
        assert claimed(connection, 10, lease=-1)
    with bench.database.begin() as connection:
        assert reclaim(connection, max_processing=600, max_attempts=MAX_ATTEMPTS).total == 1
