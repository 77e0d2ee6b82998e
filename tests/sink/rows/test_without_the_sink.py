"""The rows that no answer of the sink decides: an operator's word, and a lease that ran out."""

from uuid import uuid4

from acceptance import lab
from fakes import FakeSink
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.leases import reclaim
from processes import Cli
from sink.rows.bench import DONE, Bench, End, metric

MAX_ATTEMPTS = 2


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
        assert claim(connection, owner="dead", token=uuid4().hex, size=10, lease=-1)
    with bench.database.begin() as connection:
        assert reclaim(connection, max_processing=600, max_attempts=MAX_ATTEMPTS).total == 1
