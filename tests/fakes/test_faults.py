"""Every fault reaches the client as what it claims to be."""

import http.client
import socket
import threading
from collections.abc import Callable
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from fakes import FakeSink, fake_sink, faults
from fakes.faults import Fault, answered, refused
from fakes.script import Script
from outboxctl.chaos.proxy.points import Point
from outboxctl.chaos.proxy.tally import Bulk
from outboxctl.chaos.proxy.wire import Ending
from outboxctl.sink.bulk import Action, body

pytestmark = pytest.mark.no_servers
TWO = body([Action("a", 1, "{}"), Action("b", 1, "{}")])
Raised = type[Exception]


class Seen(NamedTuple):
    """An answer as a plain HTTP client sees it, the headers' names in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


def send(sink: FakeSink, content: bytes = TWO) -> Seen:
    """Send one bulk request."""
    connection = http.client.HTTPConnection(urlsplit(sink.url).netloc, timeout=10)
    try:
        connection.request("PUT", "/any/_bulk", content, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return Seen(reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()})
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("fault", "raised", "applied"),
    [
        (faults.DROP_BEFORE, http.client.RemoteDisconnected, False),
        (faults.DROP_AFTER, http.client.RemoteDisconnected, True),
        (faults.RESET_BEFORE, ConnectionResetError, False),
        (faults.RESET_AFTER, ConnectionResetError, True),
        (faults.TRUNCATED, http.client.IncompleteRead, True),
    ],
)
def test_a_broken_connection(fault: Fault, raised: Raised, *, applied: bool) -> None:
    with fake_sink(Script.always(fault)) as sink:
        with pytest.raises(raised) as caught:
            send(sink)
        assert caught.type is raised
        assert bool(sink.store.versions()) is applied
        assert [bulk.ids for bulk in sink.requests] == [("a", "b")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            faults.HTML,
            lambda seen: seen.headers["content-type"] == "text/html" and seen.body.startswith(b"<html>"),
        ),
        (faults.EMPTY, lambda seen: (seen.status, seen.body) == (200, b"")),
        (faults.NO_CONTENT, lambda seen: (seen.status, seen.body) == (204, b"")),
        (faults.A_LIST, lambda seen: seen.body.startswith(b"[{")),
        (faults.ITEM_MISSING, lambda seen: seen.body.count(b'"_id"') == 1),
        (faults.ITEM_TOO_MANY, lambda seen: seen.body.count(b'"_id"') == 3),
        (faults.IDS_SWAPPED, lambda seen: seen.body.index(b'"b"') < seen.body.index(b'"a"')),
        (faults.STATUS_NOT_INT, lambda seen: seen.body.count(b'"status": "201"') == 2),
        (faults.NO_PRODUCT, lambda seen: "x-elastic-product" not in seen.headers),
        (faults.REDIRECT, lambda seen: seen.status == 302 and "location" in seen.headers),
        (
            faults.BAD_GZIP,
            lambda seen: seen.headers["content-encoding"] == "gzip" and seen.body.startswith(b"{"),
        ),
        (Fault(ending=Ending.DRIP, pace=0), lambda seen: seen.body.count(b'"_id"') == 2),
        (
            answered(413),
            lambda seen: (seen.status, seen.body) == (413, b"") and "x-elastic-product" not in seen.headers,
        ),
        (
            refused(429, "busy", Retry_After="3"),
            lambda seen: (seen.status, seen.headers["retry-after"]) == (429, "3"),
        ),
    ],
)
def test_a_wrong_answer(fault: Fault, expected: Callable[[Seen], bool]) -> None:
    with fake_sink(Script.always(fault)) as sink:
        seen = send(sink)
        assert expected(seen), seen


def test_a_refused_item_is_not_applied_and_its_neighbour_is() -> None:
    with fake_sink(Script.of(Fault(items={"a": (429, {"type": "busy", "reason": "later"})}.get))) as sink:
        answer = send(sink).body
        assert answer.index(b'"busy"') < answer.index(b'"b"')
        assert sink.store.versions() == {"b": 1}


def test_faults_come_in_order_then_health_or_by_size_or_chance() -> None:
    bulks = [Bulk(n, ("a",), n, 0.0) for n in range(100)]
    ordered = Script.of(faults.HTML, faults.EMPTY)
    assert [ordered.choose(bulk) for bulk in bulks[:3]] == [faults.HTML, faults.EMPTY, faults.HEALTHY]
    chances = [Script.at_random(Random(7), (0.3, faults.HTML)) for _ in range(2)]
    drawn = [[script.choose(bulk) for bulk in bulks] for script in chances]
    assert drawn[0] == drawn[1]
    assert 10 < drawn[0].count(faults.HTML) < 50


@pytest.mark.parametrize(("point", "applied"), [(Point.BEFORE_APPLY, 0), (Point.AFTER_APPLY, 2)])
def test_a_request_is_held_at_a_point_until_it_is_let_go(point: Point, applied: int) -> None:
    with fake_sink() as sink, sink.script.hold(point) as gate:
        sender = threading.Thread(target=send, args=(sink,))
        sender.start()
        gate.wait()
        assert len(sink.store.versions()) == applied
        assert sender.is_alive()
        gate.let_go()
        sender.join(10)
        assert len(sink.store.versions()) == 2


def test_a_answerover_the_limit_is_reset_unread() -> None:
    with fake_sink() as sink:
        sink.script.reset_over = 100_000
        large = b'{"delete":{"_id":"a","version":1}}\n' * 300_000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send(sink, large)
        assert sink.requests == []
        assert send(sink).status == 200


def test_a_sink_that_ends_answers_no_more_on_a_connection_kept_alive() -> None:
    with fake_sink() as sink:
        kept = socket.create_connection(("127.0.0.1", sink.server_port))
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200")
    with kept:
        assert kept.recv(65_536) == b""
