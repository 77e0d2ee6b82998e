"""An entity recreated with versions that start again is never silently behind its index."""

from acceptance import lab
from fakes import FakeSink
from sink.rows.bench import DONE, Bench, Put, metric


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
