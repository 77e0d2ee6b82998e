"""Sinks that refuse, are overloaded or slow: no event fails or is sent twice because of it."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY, answered, refused
from fakes.script import Bulk
from processes import Cli, Worker, eventually
from scene import Scene
from servers import Servers

TOTAL = 200
SETTINGS = {
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "0.2",
    "OUTBOX_MAX_ATTEMPTS": "30",
}
HTML = b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>"
ANSWERS = {
    "page": answered(400, HTML, Content_Type="text/html"),
    "typed": refused(400, "illegal_argument_exception", "no"),
}
BUSY = refused(429, "es_rejected_execution_exception", "busy", Retry_After="1")
BUSY_ITEM = (429, {"type": "es_rejected_execution_exception", "reason": "busy"})
LIMIT = "outbox_inflight_limit_events"
LEASE, EACH, EVENTS = 4.0, 0.3, 12  # seconds of a lease and of one event's request; events
ONE_ONLY, LATE = answered(413), ProxyFault(after=EACH)


@pytest.mark.parametrize("policy", ["count", "hold"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_event_fails_and_all_are_delivered_afterwards(
    cli: Cli,
    worker: Callable[..., Worker],
    scene: Scene,
    servers: Servers,
    policy: str,
    answer: ProxyFault,
) -> None:
    with fake_sink(Script(), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY=policy, **SETTINGS)
        cli.ok("inject", "event")  # from here on the alias is known, and nothing is looked up any more
        eventually(lambda: running.metric("outbox_processed_total") == 1, what="delivered while all is well")
        sink.script = Script.always(answer)
        cli.ok("inject", "load", "--total", str(TOTAL), "--rate", "0", "--per-transaction", "50")
        eventually(lambda: _long_enough(scene, len(sink.requests), policy), what="refused for a while")
        assert scene.count("failed") == running.metric("outbox_terminal_failed_total") == 0
        if policy == "hold":
            spent = "SELECT FROM search_outbox_events WHERE status = 'pending' AND attempts > 0"
            assert scene.sql.execute(spent).rowcount == 0
            assert running.metric("outbox_circuit_open") == 1
        else:
            assert scene.rows("error_reason") == [("config",), (None,)]
        sink.script = Script()
        eventually(lambda: running.metric("outbox_processed_total") == TOTAL + 1, within=30, what="recovered")
    scene.holds(TOTAL + 1)


def _done(scene: Scene, count: int) -> bool:
    return scene.count("done") == count


def _long_enough(scene: Scene, requests: int, policy: str) -> bool:
    """Whether a worker that blames the events would have failed some by now."""
    if policy == "hold":
        return requests > 20 and scene.count("pending") >= TOTAL - 1  # the probe may be in hand
    waiting = scene.sql.execute("SELECT FROM search_outbox_events WHERE status <> 'done' AND attempts < 6")
    return waiting.fetchone() is None


def test_an_event_that_something_in_between_refuses_does_not_stop_the_others_under_hold(
    worker: Callable[..., Worker], scene: Scene, servers: Servers
) -> None:
    """A firewall refuses its text: it loses no attempt, no circuit opens, and it is sent again later."""
    scene.load(1)
    ((refused_id,),) = scene.rows("entity_type || ':' || entity_id")
    script = Script(lambda bulk: ANSWERS["page"] if refused_id in bulk.ids else HEALTHY)
    with fake_sink(script, upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY="hold", **SETTINGS)
        for done in (20, 40):
            scene.load(20)
            eventually(partial(_done, scene, done), what="the others are delivered")
        tried = len(sink.requests)
        eventually(lambda: len(sink.requests) > tried + 5, what="it is tried again")
        waiting = "status <> 'done' AND attempts <= 1 AND error_reason = 'config'"
        assert scene.sql.execute(f"SELECT FROM search_outbox_events WHERE {waiting}").rowcount == 1
        assert running.metric("outbox_circuit_open") == running.metric("outbox_terminal_failed_total") == 0
        sink.script = Script()
        scene.holds(41)


def test_of_a_bulk_request_only_the_items_that_were_refused_are_sent_again(
    worker: Callable[..., Worker], scene: Scene, servers: Servers
) -> None:
    """The answer is a 200 that refuses a third of the items, three times."""
    scene.load(TOTAL)
    refused_ids = set[str]()

    def refuse_some(bulk: Bulk) -> ProxyFault:
        if not refused_ids:
            refused_ids.update(bulk.ids[::3])
        return ProxyFault(items=dict.fromkeys(refused_ids, BUSY_ITEM).get) if bulk.number < 3 else HEALTHY

    with fake_sink(Script(refuse_some), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_CONCURRENCY="1", **SETTINGS)
        scene.finished_by(running, TOTAL)
        sent = Counter(id_ for bulk in sink.requests for id_ in bulk.ids)
    assert {id_ for id_, times in sent.items() if times > 1} == refused_ids
    scene.holds(TOTAL)


@pytest.mark.slow(reason="real workers for some seconds")
def test_an_overloaded_sink_is_left_alone_and_then_given_less(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    scene.load(2_000)
    with fake_sink(Script.of(BUSY, BUSY), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_BULK_SIZE="100", OUTBOX_CONCURRENCY="1")
        eventually(lambda: 0 < running.metric(LIMIT) < 100, what="fewer at a time")
        scene.finished_by(running, 2_000)
    refusals, first = sink.requests[:2], sink.requests[2]
    assert all(later.at - earlier.at >= 0.9 for earlier, later in pairwise([*refusals, first]))
    assert [len(bulk.ids) for bulk in sink.requests[:3]] == [100, 50, 25]
    assert running.metric(LIMIT) > 25, "and more again as it copes"
    assert running.metric("outbox_failed_total", reason="rate_limited") == 150


def one_by_one(bulk: Bulk) -> ProxyFault:
    """A sink that takes one event a request, and its time."""
    return LATE if len(bulk.ids) == 1 else ONE_ONLY


@pytest.mark.slow(reason="real workers for some seconds")
@pytest.mark.real_engine
def test_each_event_is_sent_once(scene: Scene, worker: Callable[..., Worker], servers: Servers) -> None:
    """With the first lease alone, requests after three quarters of it would be cut off, and sent again."""
    assert LEASE * 0.75 < EVENTS * EACH < LEASE
    scene.load(EVENTS)
    with fake_sink(Script(one_by_one), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_LEASE_SECONDS=str(LEASE), OUTBOX_CONCURRENCY="1")
        scene.finished_by(running, EVENTS)
        assert len([bulk for bulk in sink.requests if len(bulk.ids) == 1]) == EVENTS
    assert scene.rows("attempts") == [(1,)]
