"""How often a batch waits for a server: on a network each time costs its delay, whatever is asked."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pytest

from fakes import FakeSink, Script, fake_sink
from fakes.postgres_proxy import Proxy
from outboxctl.core.database import Database
from outboxctl.settings import load
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.wiring import WorkerParts
from scene import Scene
from servers import Servers
from worker_parts import no_ping, no_sink_of

CLAIM = "SET status = 'processing'"
SETTLE = "owner = NULL, lease_token = NULL"
TOTAL = 30
DELETES = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'delete', 2, 'pending' FROM generate_series(1, 30)
"""


class Waits(NamedTuple):
    """How often one batch waited: for PostgreSQL's claim and settle, for the sink beside its bulk request."""

    claim: int
    settle: int
    look_ups: int


class Counted:
    """One lane of a worker; its connections and its sink count."""

    def __init__(self, scene: Scene, proxy: Proxy, sink: FakeSink, database: Database, index: str) -> None:
        self._scene, self._proxy, self._sink = scene, proxy, sink
        self._settings = load(database_url=proxy.url, elastic_url=sink.url, elastic_index=index)
        self._client = connect(self._settings)
        self._database, self._elastic = database, ElasticSink(self._client, index)
        self.close = self._client.close

    def batch(self, fill: Callable[[], Any]) -> Waits:
        """What the batch of these events waits for, once another one has opened the connections."""
        self._drain(lambda: self._scene.load(1))
        before = self._seen()
        self._drain(fill)
        claims, settles, look_ups = (now - then for now, then in zip(self._seen(), before, strict=True))
        return Waits(claims, settles, look_ups)

    def _drain(self, fill: Callable[[], Any]) -> None:
        """One batch, and no claim after it: that would count as well."""
        fill()
        parts = WorkerParts(self._settings, self._database, self._elastic, sink_of=no_sink_of, ping=no_ping)
        batch = parts.claimer.claim(drain=True)
        assert batch
        parts.lane(drain=True)._carry_out(batch)

    def _seen(self) -> tuple[int, int, int]:
        claims, settles = (
            sum(each.trips for each in self._proxy.transactions(sql)) for sql in (CLAIM, SETTLE)
        )
        return claims, settles, len(self._sink.lookups)


@contextmanager
def counted(scene: Scene, proxy: Proxy, sink: FakeSink, index: str = "") -> Iterator[Counted]:
    """With the limits of a worker's connections."""
    database = Database(proxy.url, connections=1, longest=30.0, lock_timeout=5.0)
    with closing(database), closing(Counted(scene, proxy, sink, database, index or scene.index)) as lane:
        yield lane


@pytest.fixture
def sink(servers: Servers) -> Iterator[FakeSink]:
    """The real sink behind a proxy that counts."""
    with fake_sink(Script(), upstream=servers.sink) as sink:
        yield sink


@pytest.mark.real_engine
def test_a_batch_waits_three_times_beside_its_bulk_request(
    scene: Scene, database_proxy: Proxy, sink: FakeSink
) -> None:
    with counted(scene, database_proxy, sink) as lane:
        assert lane.batch(lambda: scene.load(TOTAL)) == Waits(claim=1, settle=2, look_ups=0)
    scene.holds(TOTAL + 1)


def test_a_batch_with_deletes_asks_once_whether_the_index_is_there(
    scene: Scene, database_proxy: Proxy, sink: FakeSink
) -> None:
    with counted(scene, database_proxy, sink) as lane:
        assert lane.batch(lambda: scene.sql.execute(DELETES)) == Waits(claim=1, settle=2, look_ups=1)
