"""Documents that are large: no request holds more of them than it may, and none waits for ever."""

import pytest

from acceptance import lab
from fakes import FakeSink
from outboxctl.core.delivery import claim
from outboxctl.worker.claiming import claims as worker_claims
from sink.rows.bench import DONE, Bench, Put, metric

BOUND = 5_000


def put(bench: Bench, sizes: list[int]) -> list[Put]:
    """Events from the oldest to the youngest with texts of these sizes."""
    found = []
    for age, size in enumerate(sizes):
        (one,) = bench.put(text="x" * size)
        query = "UPDATE search_outbox_events SET created_at = now() - %s * interval '1 min' WHERE id = %s"
        bench.sql.execute(query, [len(sizes) - age, one.event])
        found.append(one)
    return found


def ids(sink: FakeSink) -> list[list[str]]:
    return [list(bulk.ids) for bulk in sink.requests]


def test_a_document_larger_than_a_batch_goes_alone(bench: Bench, sink: FakeSink) -> None:
    small, huge, late = put(bench, [10, 3 * BOUND, 10])
    bench.to(sink, max_batch_bytes=BOUND)
    assert ids(sink) == [[small.document], [huge.document], [late.document]]
    assert {bench.end(one) for one in (small, huge, late)} == {DONE}


def test_no_request_holds_more_documents_than_it_may(bench: Bench, sink: FakeSink) -> None:
    all_ = put(bench, [1_000] * 30)
    metrics = bench.to(sink, max_batch_bytes=BOUND)
    assert {len(bulk.ids) for bulk in sink.requests} == {3}
    assert [id_ for batch in ids(sink) for id_ in batch] == [one.document for one in all_]
    assert {bench.end(one) for one in all_} == {DONE}
    assert metric(metrics, "outbox_processed_total") == 30
    assert metric(metrics, "outbox_failed_total") == metric(metrics, "outbox_lease_lost_total") == 0


def test_few_events_are_claimed_in_vain(
    bench: Bench, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch teaches how many have room: what goes back was written twice, and read, for nothing."""
    claims: list[int] = []

    def counted(*args: object, **more: object) -> claim.Taken:
        batch = claim.claim(*args, **more)  # type: ignore[arg-type] # passed on as they came
        claims.append(len(batch.events))
        return batch

    monkeypatch.setattr(worker_claims, "claim", counted)
    put(bench, [1_000] * 60)
    bench.to(sink, max_batch_bytes=BOUND)
    assert claims[0] == 60
    assert sum(claims[1:]) <= 2 * 60


def test_events_of_one_large_entity_need_room_only_once(bench: Bench, sink: FakeSink) -> None:
    (first,) = bench.put(text="x" * 3 * BOUND)
    others = [Put(first.entity, lab.event(bench.sql, first.entity)) for _ in range(5)]
    bench.to(sink, max_batch_bytes=BOUND)
    assert ids(sink) == [[first.document]]
    assert {bench.end(one) for one in (first, *others)} == {DONE}
