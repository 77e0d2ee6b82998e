"""An index that is deleted under a running worker is not filled anew: a guessed mapping would spoil it."""

from contextlib import closing

import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from fakes.script import Bulk
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.domain.reason_texts import public_words
from outboxctl.settings import load
from outboxctl.sink.delivery import deliver
from outboxctl.sink.delivery.bulk import BulkAction, RawActions
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from servers import Servers

pytestmark = pytest.mark.real_engine
NO_ALIAS = "no such index [x] and [require_alias] request flag is [true] and [x] is not an alias"


def sent(sink: ElasticSink, version: int) -> Verdict:
    """What becomes of one upsert."""
    action = BulkAction("block:1", version, "{}")
    (finding,) = sink.deliver([action], deadline=Deadline.within(10)).findings
    assert finding
    return finding.verdict


def test_an_alias_that_was_away_once_is_insisted_on_again(
    servers: Servers, engine: Elasticsearch, index: str
) -> None:
    """Else a look-up would precede each request for ever, and the index may vanish after it."""
    concrete = f"{index}-000001"
    with fake_sink(upstream=servers.sink) as proxy, closing(connect(load(elastic_url=proxy.url))) as client:
        sink = ElasticSink(client, index)
        found = [sent(sink, 1)]
        engine.indices.delete_alias(index=concrete, name=index)
        found.append(sent(sink, 2))
        engine.indices.put_alias(index=concrete, name=index, is_write_index=True)
        found.append(sent(sink, 3))
        looked = len(proxy.lookups)
        found += [sent(sink, 4), sent(sink, 5)]
        assert len(proxy.lookups) == looked
    assert found == [Verdict.DONE, Verdict.OUTAGE, Verdict.DONE, Verdict.DONE, Verdict.DONE]


def test_a_sink_that_takes_an_alias_for_none_is_looked_at_each_time_for_a_minute(
    servers: Servers, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(deliver, "monotonic", lambda: now[0])
    refused = ProxyFault(items=lambda _: (404, {"type": "index_not_found_exception", "reason": NO_ALIAS}))
    with (
        fake_sink(Script.of(refused), upstream=servers.sink) as proxy,
        closing(connect(load(elastic_url=proxy.url))) as client,
    ):
        sink, looked = ElasticSink(client, index), list[int]()
        for version, seconds in ((1, 0), (2, 0), (3, 0), (4, deliver.CONCRETE), (5, 0)):
            now[0] += seconds
            assert sent(sink, version) is Verdict.DONE
            looked.append(len(proxy.lookups))
    assert looked == [2, 3, 4, 5, 5]


def test_an_index_that_a_delete_makes_after_the_look_up_is_not_filled(
    servers: Servers, engine: Elasticsearch, index: str
) -> None:
    """The engine ignores `require_alias` for deletes."""

    def choose(bulk: Bulk) -> ProxyFault:
        if bulk.number == 1:  # the name was looked up
            engine.indices.delete(index=f"{index}-000001")
        return HEALTHY

    with (
        fake_sink(Script(choose), upstream=servers.sink) as proxy,
        closing(connect(load(elastic_url=proxy.url))) as client,
    ):
        sink = ElasticSink(client, index)
        assert sent(sink, 1) is Verdict.DONE
        sink.deliver([BulkAction("block:2", 2, None)], deadline=Deadline.within(10))
        assert engine.indices.exists(index=index), "made by the delete"
        for document in ("{}", None):
            action = BulkAction("block:1", 2, document)
            (finding,) = sink.deliver([action], deadline=Deadline.within(10)).findings
            assert finding
            assert (finding.verdict, finding.reason) == (Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE)
            assert f"{index} was an alias and is an index now" in public_words(finding)
        engine.indices.refresh(index=index)
        assert engine.count(index=index)["count"] == 0
        assert sent(ElasticSink(client, index), 3) is Verdict.DONE, (
            "a worker that is restarted takes it as it is"
        )
        engine.indices.delete(index=index)
        assert sent(sink, 4) is Verdict.OUTAGE
        assert not engine.indices.exists(index=index)
        engine.indices.create(index=f"{index}-000001", aliases={index: {"is_write_index": True}})
        assert sent(sink, 5) is Verdict.DONE


def test_the_name_is_looked_up_when_the_body_is_ready() -> None:
    """Else the index may vanish while megabytes are encoded."""
    looked = list[int]()

    class Watched(RawActions):
        def body(self) -> bytes | None:
            looked.append(len(proxy.lookups))
            return super().body()

    with fake_sink() as proxy, closing(connect(load(elastic_url=proxy.url))) as client:
        sink = ElasticSink(client, "x")
        sink.deliver(Watched([(b'"block:1"', b"1", b"", b"{}")]), deadline=Deadline.within(10))
        assert (looked, bool(proxy.lookups), len(proxy.requests)) == ([0], True, 1)
