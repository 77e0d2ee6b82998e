"""The faults of tests reach the client as what they claim to be; those of the proxy: tests/drills/chaos."""

import http.client
from collections.abc import Callable
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from fakes import FakeSink, fake_sink, faults
from fakes.faults import ProxyFault
from fakes.script import Script
from outboxctl.drills.proxy.passing import Bulk
from outboxctl.sink.delivery.bulk import BulkAction, body

pytestmark = pytest.mark.no_servers
TWO = body([BulkAction("a", 1, "{}"), BulkAction("b", 1, "{}")])


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
    ("fault", "expected"),
    [
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
    ],
)
def test_a_wrong_answer(fault: ProxyFault, expected: Callable[[Seen], bool]) -> None:
    with fake_sink(Script.always(fault)) as sink:
        seen = send(sink)
        assert expected(seen), seen


def test_faults_come_in_order_then_health_or_by_size_or_chance() -> None:
    bulks = [Bulk(n, ("a",), n, 0.0) for n in range(100)]
    ordered = Script.of(faults.HTML, faults.EMPTY)
    assert [ordered.choose(bulk) for bulk in bulks[:3]] == [faults.HTML, faults.EMPTY, faults.HEALTHY]
    chances = [Script.at_random(Random(7), (0.3, faults.HTML)) for _ in range(2)]
    drawn = [[script.choose(bulk) for bulk in bulks] for script in chances]
    assert drawn[0] == drawn[1]
    assert 10 < drawn[0].count(faults.HTML) < 50


def test_a_body_over_the_limit_is_reset_unread() -> None:
    with fake_sink() as sink:
        sink.script.reset_over = 100_000
        large = b'{"delete":{"_id":"a","version":1}}\n' * 300_000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send(sink, large)
        assert sink.requests == []
        assert send(sink).status == 200
