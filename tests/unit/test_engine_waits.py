"""How long a request lets the engine wait for a shard or a leader."""

from collections.abc import Mapping
from typing import Any

import pytest

from outboxctl.domain.clock import Deadline
from outboxctl.sink.delivery import deliver
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import SHARD_WAIT_PERIOD_SECONDS, ElasticSink
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, Engine
from outboxctl.sink.transport.reply import SinkReply

pytestmark = pytest.mark.no_servers
SICK = (503, "unavailable_shards_exception", "[x][0] primary shard is not active")
MAPPING = (500, "mapper_exception", "timed out while waiting for a dynamic mapping update")


class Client:
    """Keeps what it is to send; there is no alias, and a bulk request gets `refusal` for its one item."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.refusal = engine, SICK
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    def send(self, method: str, path: str, params: Mapping[str, str], *_: Any, **__: Any) -> SinkReply:
        self.sent.append((f"{method} {path}", params))
        if "_bulk" in path:
            status, kind, text = self.refusal
            item = f'{{"_id":"1","status":{status},"error":{{"type":"{kind}","reason":"{text}"}}}}'
            return SinkReply(200, {}, f'{{"errors":true,"items":[{{"index":{item}}}]}}'.encode())
        return SinkReply(404 if "_alias" in path else 200, {}, b"")

    def waits(self) -> list[int]:
        """The milliseconds that the engine may wait, of each bulk request."""
        return [int(p["timeout"].removesuffix("ms")) for request, p in self.sent if "_bulk" in request]


def send(client: Client, sink: ElasticSink) -> int:
    """Send one document; how many milliseconds the engine may wait."""
    sink.deliver([BulkAction("1", 1, "{}")], deadline=Deadline.within(6.0))
    return client.waits()[-1]


def test_after_a_shard_has_refused_a_document_the_engine_waits_for_a_second_for_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bulk request is answered when its slowest shard is: the documents of all others wait for it."""
    now = [1_000.0]
    monkeypatch.setattr(deliver, "monotonic", lambda: now[0])
    client = Client(ELASTICSEARCH)
    sink = ElasticSink(client, "x")  # type: ignore[arg-type]
    assert 1_900 < send(client, sink) <= 2_000, "a third of the request's time"
    assert send(client, sink) == 1_000
    client.refusal = MAPPING
    now[0] += SHARD_WAIT_PERIOD_SECONDS - 1
    assert send(client, sink) == 1_000
    now[0] += 2
    assert send(client, sink) > 1_900, "a leader that is slow with a new field is no unavailable shard"
    assert send(client, sink) > 1_900


@pytest.mark.parametrize("engine", [ELASTICSEARCH, OPENSEARCH])
def test_a_look_up_before_a_batch_does_not_wait_for_a_leader_for_longer_than_its_share(
    engine: Engine,
) -> None:
    """The answer is that there is no leader then, where it would be none at all."""
    client = Client(engine)
    delete = BulkAction("block:1", 1, None)
    ElasticSink(client, "x").deliver([delete], deadline=Deadline.within(6.0))  # type: ignore[arg-type]
    (wait,) = [parameters for request, parameters in client.sent if request == "HEAD /x"]
    assert 0 < int(wait[engine.leader_timeout].removesuffix("ms")) <= 1_000
