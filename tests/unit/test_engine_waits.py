"""A request says how long the engine may wait for a shard or a leader: well within what the worker waits."""

from collections.abc import Mapping
from typing import Any

import pytest

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, Engine
from outboxctl.sink.transport.reply import SinkReply

pytestmark = pytest.mark.no_servers


class Client:
    """Keeps what it is to send; there is no alias, and nothing else may be looked at."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    def send(
        self, method: str, path: str, params: Mapping[str, str], *_: Any, **__: Any
    ) -> SinkReply | Answer:
        self.sent.append((f"{method} {path}", params))
        return SinkReply(404, {}, None) if "_alias" in path else Answer(403, request=True)


def test_a_bulk_request_says_how_long_the_engine_may_wait() -> None:
    client = Client(ELASTICSEARCH)
    sink = ElasticSink(client, "x")  # type: ignore[arg-type]
    sink.deliver([BulkAction("block:1", 1, "{}")], deadline=Deadline.within(6.0))
    ((_, parameters),) = [sent for sent in client.sent if "_bulk" in sent[0]]
    assert 1_000 < int(parameters["timeout"].removesuffix("ms")) <= 2_000


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
