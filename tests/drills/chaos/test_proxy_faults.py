"""Each fault is what it claims to be, to a plain client and to Elasticsearch's, before a real sink."""

import http.client
import json
import socket
from threading import Thread
from time import monotonic

import pytest

from drills.chaos.conftest import Held
from drills.chaos.through import ask, bulk, connected, write
from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy import Proxy, ProxyFault, faults
from processes import eventually


@pytest.mark.parametrize(
    ("fault", "error", "applied"),
    [
        (faults.reset_before(), ConnectionResetError, False),
        (faults.reset_after(), ConnectionResetError, True),
        (faults.drop_after(), http.client.RemoteDisconnected, True),
        (faults.truncate(), http.client.IncompleteRead, True),
        (faults.blackhole(), TimeoutError, False),
        (faults.delay(60), TimeoutError, False),
        (faults.delay(60, applied=True), TimeoutError, True),
    ],
    ids=lambda value: value.name if isinstance(value, ProxyFault) else "",
)
def test_no_answer(
    proxy: Proxy, target: str, held: Held, fault: ProxyFault, error: type[Exception], *, applied: bool
) -> None:
    with proxy.fault(fault):
        with pytest.raises(error) as caught:
            write(proxy, target, "a", patience=0.5)
        assert caught.type is error
        assert held() == (["a"] if applied else [])
        seen = proxy.counts
        assert (seen.requests, seen.bulks, seen.struck) == (1, 1, 1)
    write(proxy, target, "c")
    assert "c" in held(), "once the fault has ended all is well"


@pytest.mark.parametrize(
    ("fault", "status", "headers", "applied"),
    [
        (faults.busy(2), 429, {"retry-after": "2"}, False),
        (faults.busy(), 429, {"retry-after": None}, False),
        (faults.unavailable(), 503, {}, False),
        (faults.gateway(), 502, {"content-type": "text/html"}, True),
        (faults.gateway(applied=False), 502, {}, False),
        (faults.too_large(10), 413, {"x-elastic-product": None}, False),
        (faults.html(), 200, {"content-type": "text/html"}, True),
    ],
    ids=lambda value: value.name if isinstance(value, ProxyFault) else "",
)
def test_a_wrong_answer(
    proxy: Proxy,
    target: str,
    held: Held,
    fault: ProxyFault,
    status: int,
    headers: dict[str, str | None],
    *,
    applied: bool,
) -> None:
    with proxy.fault(fault):
        seen = write(proxy, target, "a")
    assert (seen.status, {name: seen.headers.get(name) for name in headers}) == (status, headers)
    assert held() == (["a"] if applied else [])


def test_a_drip_takes_its_time_and_ends_with_the_fault(proxy: Proxy, target: str, held: Held) -> None:
    with connected(proxy) as connection, proxy.fault(faults.drip(0.02)):
        content = bulk("a")
        connection.sendall(b"PUT /%b/_bulk HTTP/1.1\r\nUser-Agent: x\r\nContent-Length: " % target.encode())
        connection.sendall(b"%d\r\nContent-Type: application/json\r\n\r\n%b" % (len(content), content))
        pieces = [connection.recv(65_536) for _ in range(5)]
        assert max(map(len, pieces)) < 5, "a byte at a time"
        assert held() == ["a"]
        proxy.clear()
        began = monotonic()
        while not pieces[-1].endswith(b"}"):
            pieces.append(connection.recv(65_536))
        assert monotonic() - began < 1, "the rest comes at once"
    assert b"".join(pieces).startswith(b"HTTP/1.1 200 OK\r\n")


def test_of_some_items_the_same_ones_are_refused_each_time_and_the_others_applied(
    proxy: Proxy, target: str, held: Held
) -> None:
    ids = list("abcdefgh")
    with proxy.fault(faults.some_items(0.5)):
        first, again = (json.loads(write(proxy, target, *ids).body) for _ in range(2))
    statuses = {item["index"]["_id"]: item["index"]["status"] for item in first["items"]}
    refused = [id_ for id_ in ids if statuses[id_] == 429]
    assert list(statuses) == ids, "in the order of the request"
    assert 0 < len(refused) < len(ids)
    assert refused == [i["index"]["_id"] for i in again["items"] if i["index"]["status"] == 429]
    assert held() == [id_ for id_ in ids if id_ not in refused]
    error = next(item["index"]["error"] for item in first["items"] if "error" in item["index"])
    assert error == {"type": "es_rejected_execution_exception", "reason": "the fault proxy says so"}
    assert proxy.counts.items_failed == 2 * len(refused)
    with proxy.fault(faults.some_items(1)):
        assert all(i["index"]["status"] == 429 for i in json.loads(write(proxy, target, *ids).body)["items"])


def test_refusing_ends_what_is_open_keeps_the_port_and_comes_back_again_and_again(proxy: Proxy) -> None:
    url = proxy.url
    for _ in range(10):
        with connected(proxy) as kept:
            kept.sendall(b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n")
            assert kept.recv(65_536).startswith(b"HTTP/1.1 200")
            with proxy.fault(faults.refuse()):
                assert kept.recv(1) == b""
                with pytest.raises(ConnectionRefusedError):
                    ask(proxy)
                with socket.socket() as other, pytest.raises(OSError, match="in use"):
                    other.bind(kept.getpeername())
            assert ask(proxy).status == 200
    assert proxy.url == url


@pytest.mark.no_servers
def test_a_port_that_is_taken_is_said() -> None:
    with Proxy("http://127.0.0.1:9") as proxy, pytest.raises(UsageError, match="cannot listen on"):
        Proxy("http://127.0.0.1:9", port=int(proxy.url.rpartition(":")[2])).__enter__()


def test_a_fault_befalls_bulk_requests_alone_or_everything_or_bodies_by_size(
    proxy: Proxy, target: str
) -> None:
    with proxy.fault(faults.busy()):
        assert ask(proxy).status == 200
    with proxy.fault(faults.busy(everything=True)):
        assert ask(proxy).status == 429
    with proxy.fault(faults.too_large(len(bulk("a", "b")))):
        assert [write(proxy, target, *ids).status for ids in ("ab", "abc")] == [200, 413]


def test_a_share_is_struck_and_the_same_with_the_same_seed(proxy: Proxy) -> None:
    def struck() -> list[bool]:
        with proxy.fault(faults.unavailable(share=0.3, everything=True)):
            return [ask(proxy).status == 503 for _ in range(60)]

    first = struck()
    assert 8 <= sum(first) <= 28
    assert proxy.counts.struck == sum(first)
    assert struck() == first


def test_one_fault_holds_at_a_time(proxy: Proxy, target: str) -> None:
    with proxy.fault(faults.busy()):
        proxy.set(faults.unavailable())
        assert write(proxy, target, "a").status == 503
    assert write(proxy, target, "a").status == 200


@pytest.mark.parametrize("point", ["before apply", "after apply"])
def test_a_request_is_held_until_it_is_let_go(proxy: Proxy, target: str, held: Held, point: str) -> None:
    with proxy.hold(point) as gate:  # type: ignore[arg-type]
        sender = Thread(target=write, args=(proxy, target, "a"))
        sender.start()
        gate.wait(10)
        assert held() == ([] if point == "before apply" else ["a"])
        assert ask(proxy).status == 200, "other requests pass"
        assert sender.is_alive()
        gate.let_go()
        sender.join(10)
    assert held() == ["a"]


def test_requests_are_counted(proxy: Proxy, target: str) -> None:
    for ids in ("ab", "c"):
        write(proxy, target, *ids)
    ask(proxy)
    assert (proxy.counts.requests, proxy.counts.bulks) == (3, 2)


def test_a_client_that_leaves_a_black_hole_holds_nothing_up(proxy: Proxy) -> None:
    with proxy.fault(faults.blackhole()):
        with connected(proxy) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n")
            eventually(lambda: proxy.counts.struck)
        eventually(lambda: not proxy._connections)


@pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
@pytest.mark.no_servers
def test_a_share_that_is_none_is_refused(share: float) -> None:
    for made in (faults.busy, faults.some_items):
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            made(share=share)
    with pytest.raises(UsageError, match="a day"):
        faults.delay(share * 1e9 or -1)
