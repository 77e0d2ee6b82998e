"""A sink, or something before it, fills no memory of ours: not by a bomb, not by an answer without end."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import answered
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.drills.proxy.wire import ProxyReply
from processes import Cli, Worker, eventually
from scene import Scene
from servers import Servers
from sinks import delivered

pytestmark = pytest.mark.slow(reason="huge answers, read by real workers")

MIB = 2**20
HUGE = 160 * MIB
HEAD = b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\n"
SETTINGS = {
    "OUTBOX_CONCURRENCY": "1",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "0.2",
}


class AsItIs(ProxyReply):
    """Its body is all that is sent."""

    def written(self, *, missing: int = 0) -> bytes:
        del missing
        return self.body


@pytest.fixture
def scene(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> Scene:
    return Scene(sql, engine, index)


@cache
def bomb() -> bytes:
    """300 MB in 300 kB."""
    packer, pieces = zlib.compressobj(wbits=16 + zlib.MAX_WBITS), [b" " * MIB] * 300
    return b"".join([*map(packer.compress, pieces), packer.flush()])


@cache
def endless(framing: bytes, start: bytes = b"") -> ProxyFault:
    return ProxyFault(reply=AsItIs(body=b"".join([HEAD, framing, b"\r\n\r\n", start, b" " * HUGE])))


def packed(coding: str, body: bytes, status: int = 200) -> ProxyFault:
    return ProxyFault(reply=ProxyReply(status, body, {"Content-Encoding": coding}))


HOSTILE: dict[str, tuple[Callable[[], ProxyFault], str]] = {
    "bomb": (lambda: packed("gzip", bomb()), "gzip"),
    "bomb in a bomb": (lambda: packed("gzip, gzip", gzip.compress(bomb())), "gzip, gzip"),
    "without a length": (lambda: endless(b"Connection: close"), "larger than"),
    "chunked": (lambda: endless(b"Transfer-Encoding: chunked", b"%x\r\n" % HUGE), "larger than"),
    "a false length": (lambda: endless(b"Content-Length: 9999999999"), "larger than"),
}
hostile = pytest.mark.parametrize(("fault", "said"), HOSTILE.values(), ids=HOSTILE)


def most_memory(worker: Worker) -> int:
    """Bytes of memory that it had at most."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@hostile
def test_a_worker_keeps_its_memory_and_its_events_and_says_why(
    cli: Cli,
    worker: Callable[..., Worker],
    scene: Scene,
    servers: Servers,
    fault: Callable[[], ProxyFault],
    said: str,
) -> None:
    reason = Reason.BAD_RESPONSE if said == "larger than" else Reason.CONNECTION_LOST
    with fake_sink(Script(), upstream=servers.sink) as sink:
        given = {"ELASTIC_URL": sink.url, "OUTBOX_OUTAGE_POLICY": "hold"}
        running = worker(**given, **SETTINGS)
        cli.ok("inject", "event")
        eventually(lambda: running.metric("outbox_processed_total") == 1, what="delivered while all is well")
        before = most_memory(running)
        sink.script = Script.always(fault())
        cli.ok("inject", "load", "--total", "20", "--rate", "0")
        if reason is Reason.BAD_RESPONSE:
            eventually(lambda: running.metric("outbox_circuit_open") == 1, what="an outage")
        eventually(lambda: len(sink.requests) >= 4, what="asked again")
        assert most_memory(running) - before < 64 * MIB
        assert scene.count("failed") == 0
        outage = scene.sql.execute("SELECT FROM search_outbox_events WHERE attempts > 1").rowcount == 0
        assert outage or reason is Reason.CONNECTION_LOST
        assert running.metric("outbox_es_bulk_requests_total", result=reason) > 0
        assert said in running.log.read_text()
        sink.script = Script()
        eventually(lambda: running.metric("outbox_processed_total") == 21, what="recovered")
    scene.holds(21)


@pytest.mark.no_servers
@pytest.mark.parametrize("coding", ["gzip", "br", "\x1b[31mhostile", "identity, gzip"])
def test_no_coding_is_decoded_that_was_not_asked_for(coding: str) -> None:
    with fake_sink(Script.always(packed(coding, b"abc"))) as sink:
        found = delivered(sink.url)
    assert (found.verdict, found.reason) == (Verdict.RETRY, Reason.CONNECTION_LOST)
    assert "was not asked for" in found.error
    assert "\x1b" not in found.error


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, Reason.AUTH), (413, Reason.PAYLOAD_TOO_LARGE), (502, Reason.GATEWAY), (503, Reason.UNAVAILABLE)],
)
def test_the_status_of_a_refusal_counts_whatever_its_page_is(status: int, reason: Reason) -> None:
    head = HEAD.replace(b"200 OK", b"%d No" % status)
    pages = [
        packed("gzip", bomb(), status),
        ProxyFault(reply=AsItIs(body=head + b"Content-Length: 9999999999\r\n\r\n" + b" " * 1000)),
        ProxyFault(reply=AsItIs(body=head + b"Connection: close\r\n\r\n" + b" " * 40 * MIB)),
        answered(status),
    ]
    with fake_sink(Script.of(*pages)) as sink:
        assert [delivered(sink.url).reason for _ in pages] == [reason] * len(pages)


@pytest.mark.no_servers
def test_an_answer_may_be_as_large_as_its_request_explains() -> None:
    """An engine quotes a value that it refuses twice (tried on 9.0.4)."""
    text = "x" * 20 * MIB
    item = {
        "index": {
            "_id": "a:1",
            "status": 400,
            "error": {"type": "mapper_parsing_exception", "reason": text * 2},
        }
    }
    reply = ProxyReply(200, json.dumps({"errors": True, "items": [item]}).encode())
    with fake_sink(Script.always(ProxyFault(reply=reply))) as sink:
        found = delivered(sink.url, json.dumps({"d": text}))
        assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.MAPPING)
        assert delivered(sink.url).reason is Reason.BAD_RESPONSE
