"""Documents of a shard that takes nothing wait for a probe; for how long the engine may wait for others."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, Verdict, classify
from outboxctl.sink.delivery import unavailable_shards
from outboxctl.sink.delivery.bulk import PROBE, BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.delivery.result import BulkRequest, Delivery
from outboxctl.sink.delivery.shards import Shards
from outboxctl.sink.delivery.unavailable_shards import UnavailableShards
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, Engine
from outboxctl.sink.transport.reply import SinkReply

pytestmark = pytest.mark.no_servers
THREE = Shards(3, 768)
WORDS = (
    "[docs-1][{}] primary shard is not active Timeout: [500ms], request: [BulkShardRequest [[docs-1][{}]]]"
)
NO_NUMBER = Answer(
    500,
    "retry_on_primary_exception",
    "shard is not in primary mode (shard_not_in_primary_mode_exception: CurrentState[STARTED] shard is not "
    "in primary mode)",
)
ACTIONS = [BulkAction(f"block:{n}", 1, "{}") for n in range(60)]


class Cluster:
    """Takes what is of a healthy shard; `sent` are the ids of each request, `now` is its clock."""

    def __init__(self) -> None:
        self.sick: set[int] = set()
        self.numbered = True
        self.sent: list[list[BulkAction]] = []
        self.now = 1_000.0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        assert actions
        assert deadline.seconds_left() > 0
        self.sent.append(list(actions))
        return Delivery([self._answer(action) for action in actions], [BulkRequest("ok", 0.0, 1)])

    def _answer(self, action: BulkAction) -> Classification:
        shard = shard_of(action)
        if shard not in self.sick:
            return DONE
        words = WORDS.format(shard, shard)
        return classify(Answer(503, "unavailable_shards_exception", words) if self.numbered else NO_NUMBER)

    def events(self) -> list[BulkAction]:
        """What was sent of events since the last look."""
        found = [action for some in self.sent for action in some if action.id != PROBE.id]
        self.sent.clear()
        return found


def shard_of(action: BulkAction) -> int:
    """By the engines' own hash."""
    return THREE.of(action.routing or action.id)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(unavailable_shards, "monotonic", lambda: cluster.now)
    monkeypatch.setattr(unavailable_shards, "layout_of", lambda *_: THREE)
    return cluster


def sink(cluster: Cluster) -> UnavailableShards:
    return UnavailableShards(None, cluster, "docs")  # type: ignore[arg-type] # its layout is not asked for


def deliver(sick: UnavailableShards, actions: Sequence[BulkAction] = ACTIONS) -> Delivery:
    return sick.deliver(actions, deadline=Deadline.within(20.0))


def test_after_the_first_refusal_only_the_others_are_sent(cluster: Cluster) -> None:
    sick = sink(cluster)
    cluster.sick = {1}
    first = deliver(sick)
    assert [f.of_shard for f in first.findings if f] == [shard_of(a) == 1 for a in ACTIONS]
    assert not any(f.attempt_returned for f in first.findings if f), "it was sent"
    cluster.events()
    second = deliver(sick)
    assert [shard_of(action) for action in cluster.events()].count(1) == 0
    put_back = [f for f in second.findings if f and f.verdict is not Verdict.DONE]
    assert all(f.attempt_returned and f.of_shard and "[docs-1][1]" in f.error for f in put_back)
    assert len(put_back) == [shard_of(action) for action in ACTIONS].count(1)


def test_a_shard_whose_refusal_does_not_say_its_number_is_known_by_its_documents(cluster: Cluster) -> None:
    """Seen with OpenSearch 2.19.6: a promoted primary that never came into primary mode, for minutes."""
    sick = sink(cluster)
    cluster.sick, cluster.numbered = {1}, False
    deliver(sick)
    cluster.events()
    deliver(sick)
    assert [shard_of(action) for action in cluster.events()].count(1) == 0
    cluster.sick = set()
    cluster.now += 1.1
    assert deliver(sick).recovered


def test_a_document_that_waits_for_its_mapping_does_not_make_its_shard_unavailable(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = classify(Answer(500, "mapper_exception", "timed out while waiting for a dynamic mapping update"))
    assert answer.of_shard
    one = next(action for action in ACTIONS if shard_of(action) == 1)
    monkeypatch.setattr(cluster, "_answer", lambda action: answer if action is one else DONE)
    sick = sink(cluster)
    for _ in range(2):
        found = deliver(sick).findings
        assert [f for f in found if f is not DONE] == [answer]
        assert len(cluster.events()) == len(ACTIONS)


def test_a_shard_that_takes_a_probe_gets_its_documents_in_the_same_delivery(cluster: Cluster) -> None:
    sick = sink(cluster)
    cluster.sick = {1}
    deliver(sick)
    cluster.sick = set()
    cluster.now += 1.1
    cluster.sent.clear()
    delivery = deliver(sick)
    assert delivery.findings == [DONE] * len(ACTIONS)
    assert PROBE.id not in {action.id for action in cluster.sent[0]}, "the others do not wait for it"
    assert delivery.recovered, "those that wait in the database can be sent, too"
    assert not deliver(sick).recovered


def test_where_all_shards_are_sick_the_sink_is(cluster: Cluster) -> None:
    """Everything is sent, and the circuit decides how often; one that takes a document is well again."""
    sick = sink(cluster)
    cluster.sick = {0, 1, 2}
    for _ in range(3):
        assert not any(f.single or f.of_shard or f.attempt_returned for f in deliver(sick).findings if f)
        assert len(cluster.events()) == len(ACTIONS)
    cluster.sick = {0, 1}
    delivery = deliver(sick)
    assert delivery.recovered, "events of that shard may wait in the database"
    found = delivery.findings
    assert [f is DONE for f in found] == [shard_of(action) == 2 for action in ACTIONS]
    assert all(f.of_shard for f in found if f is not DONE and f)


@settings(max_examples=100)
@given(data=st.data())
def test_whatever_shards_fall_ill_the_others_flow_and_in_the_end_all_do(data: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cluster = Cluster()
        patch.setattr(unavailable_shards, "monotonic", lambda: cluster.now)
        patch.setattr(unavailable_shards, "layout_of", lambda *_: THREE)
        sick = sink(cluster)
        for _ in range(data.draw(st.integers(1, 30))):
            cluster.sick = data.draw(st.sets(st.integers(0, 2)))
            cluster.now += data.draw(st.sampled_from([0.0, 0.3, 1.0, 6.0]))
            some = data.draw(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=20, unique=True))
            delivery = deliver(sick, some)
            assert len(delivery.findings) == len(some)
            sent = [action.id for action in cluster.events()]
            for action, finding in zip(some, delivery.findings, strict=True):
                assert finding is not None
                taken = shard_of(action) not in cluster.sick
                assert finding is not DONE or taken
                assert (action.id in sent) is not finding.attempt_returned, "sent, or put back for nothing"
        cluster.sick = set()
        for _ in range(3):
            cluster.now += 5.0
            deliver(sick)
        assert deliver(sick).findings == [DONE] * len(ACTIONS)


class Client:
    """Keeps what it is to send; there is no alias, and nothing else may be looked at."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    def send(
        self, method: str, path: str, params: Mapping[str, str], *_: Any, **__: Any
    ) -> SinkReply | Answer:
        self.sent.append((f"{method} {path}", params))
        return SinkReply(404, {}, b"") if "_alias" in path else Answer(403, request=True)


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
