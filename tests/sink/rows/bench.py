"""A delivery in this process: real rows, a real claim, the real client, a real settle; no worker process."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from elasticsearch import Elasticsearch
from prometheus_client.parser import text_string_to_metric_families

from acceptance import lab
from fakes import FakeSink, fake_sink
from invariants import Engine, check_invariants
from outboxctl.core.database import Database
from outboxctl.domain.errors import UnreachableError
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.wiring import WorkerParts
from worker_parts import no_ping, no_sink_of

INDEX = "any"
# A retry is due only long after the test: each event is tried once.
ONCE = {"base_backoff_seconds": 600.0, "max_backoff_seconds": 600.0}


class Put(NamedTuple):
    """An event that was put in, and the entity that it is about."""

    entity: UUID
    event: UUID

    @property
    def document(self) -> str:
        """The id of its document."""
        return f"block:{self.entity}"


class End(NamedTuple):
    """How a row ended; `waits`: it has a next_retry_at."""

    status: str
    reason: str | None
    attempts: int
    waits: bool


DONE = End("done", None, 1, waits=False)
HELD = End("pending", None, 0, waits=False)


def end(verdict: str, reason: str, policy: str) -> End:
    """How a row must end after one delivery with this verdict.

    `refundable`: a retry of which the event may be no cause, or the outage of its shard alone.
    """
    if verdict == "refundable":
        return End("pending", reason, 0 if policy == "hold" else 1, waits=True)
    if verdict == "fail":
        return End("failed", reason, 1, waits=False)
    return HELD if (verdict, policy) == ("outage", "hold") else End("pending", reason, 1, waits=True)


@dataclass
class Bench:
    """A database, and whatever has to be put in and looked at."""

    sql: lab.Sql
    database: Database
    url: str

    def put(self, count: int = 1, **columns: Any) -> list[Put]:
        """New source rows, each with its event."""
        return [Put(*lab.put(self.sql, **columns)) for _ in range(count)]

    def delete(self, entity: UUID, version: int = 1) -> Put:
        """The event of a deletion; its source row is gone already."""
        return Put(entity, lab.event(self.sql, entity, version, op="delete"))

    def deliver(self, url: str, *, index: str = INDEX, **flags: Any) -> Metrics:
        """Let one lane work until nothing is due; under `hold` it may also find the sink away."""
        given = ONCE | {"database_url": self.url, "elastic_url": url, "elastic_index": index} | flags
        settings = load(**given)
        with closing(connect(settings)) as client:
            sink = ElasticSink(client, index)
            parts = WorkerParts(settings, self.database, sink, sink_of=no_sink_of, ping=no_ping)
            lane = parts.lane(drain=True)
            lane.run()
        held = settings.outage_policy == "hold" and isinstance(lane.error, UnreachableError)
        assert lane.error is None or held, lane.error
        return parts.context.metrics

    def to(self, sink: FakeSink, **flags: Any) -> Metrics:
        """Deliver to a fake; afterwards everything must hold that always must."""
        metrics = self.deliver(sink.url, **flags)
        with fake_sink(store=sink.store) as healthy, Elasticsearch(healthy.url) as client:
            self.check(client, INDEX)
        assert sink.store.steps_back() == []
        return metrics

    def check(self, client: Engine, index: str) -> None:
        """The invariants, with the rows that are there."""
        lab.assert_clean(self.sql)
        check_invariants(self.sql, client, index, rows=sum(lab.by_status(self.sql).values()))

    def end(self, put: Put) -> End:
        """How its row ended."""
        row = lab.event_row(self.sql, put.event)
        return End(row["status"], row["error_reason"], row["attempts"], row["next_retry_at"] is not None)

    def wait(self, put: Put) -> float:
        """Seconds from now until its row is due again."""
        query = "SELECT extract(epoch FROM next_retry_at - now()) FROM search_outbox_events WHERE id = %s"
        return float(lab.one(self.sql, query, put.event))


def metric(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of all series of a metric that carry these labels."""
    families = text_string_to_metric_families(metrics.snapshot().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())
