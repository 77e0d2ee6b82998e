"""The port of the probes: who holds it open takes neither /healthz nor delivery away, and fills no log."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from processes import Cli, Worker, eventually

MOST, DEADLINE = 32, 5.0
CROWD = 100
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def ready(worker: Callable[..., Worker]) -> Worker:
    """A worker that answers."""
    started = worker()
    eventually(lambda: started.get("/readyz")[0] == 200)
    eventually(
        lambda: "an outage of the sink fails events" in started.log.read_text(),
        what="the last line of its start",
    )
    return started


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def come(worker: Worker, crowd: ExitStack, sent: bytes = b"G") -> socket.socket:
    """Connect, and say no more than this."""
    client = crowd.enter_context(socket.socket())
    client.settimeout(5)
    with suppress(OSError):  # it may be full
        client.connect(("127.0.0.1", worker.port))
        client.sendall(sent)
    return client


def held(worker: Worker) -> int:
    """Connections to its port that it has accepted and not closed: only those have an inode."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    here = f"0100007F:{worker.port:04X}"
    return sum(line[1] == here and line[3] != "0A" and line[9] != "0" for line in lines)


@contextmanager
def dripping(worker: Worker, crowd: ExitStack) -> Iterator[None]:
    """So many clients that each send a byte now and again, for as long as the block lasts."""
    over = threading.Event()
    clients: list[socket.socket] = []

    def drip() -> None:
        while not over.wait(0.5):
            for client in clients[:]:
                with suppress(OSError):
                    client.send(b"x", socket.MSG_DONTWAIT)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        clients.extend(come(worker, crowd) for _ in range(CROWD))
        yield
    finally:
        over.set()
        thread.join()


def test_who_says_nothing_takes_healthz_from_nobody(ready: Worker, crowd: ExitStack) -> None:
    with dripping(ready, crowd):
        for _ in range(3):
            began = monotonic()
            assert ready.get("/healthz")[0] == 200
            assert monotonic() - began < 2, "before any of them had to go"
        eventually(lambda: held(ready) <= MOST)  # some are just being closed


def test_a_byte_now_and_then_holds_a_connection_no_longer_than_a_request_may_take(
    ready: Worker, crowd: ExitStack
) -> None:
    client = come(ready, crowd)
    client.settimeout(0.2)
    began = monotonic()

    def ended() -> bool:
        with suppress(TimeoutError):
            client.sendall(b"x")
            return not client.recv(1)
        return False

    with suppress(ConnectionError):
        eventually(ended, within=3 * DEADLINE)
    assert DEADLINE - 0.5 < monotonic() - began < DEADLINE + 3


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /\xff\xfe\x1b]0;x\x07 HTTP/1.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n: \r\n\x00\r\n\r\n",
    ],
    ids=range(4),
)
def test_a_broken_request_leaves_no_line_in_the_log(ready: Worker, crowd: ExitStack, sent: bytes) -> None:
    before = ready.log.read_text()
    client = come(ready, crowd, sent)
    with suppress(ConnectionError):
        while client.recv(65_536):
            pass
    assert ready.get("/healthz")[0] == 200
    assert ready.log.read_text() == before


def descriptors(worker: Worker) -> int:
    return len(os.listdir(f"/proc/{worker.process.pid}/fd"))


def seconds_of_cpu(worker: Worker) -> float:
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def allow(worker: Worker, files: int) -> None:
    resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (files, 4096))


def test_without_a_descriptor_left_it_waits_instead_of_spinning(
    ready: Worker, crowd: ExitStack, cli: Cli, sql: psycopg.Connection
) -> None:
    cli.ok("inject", "load", "--total", "50", "--rate", "0")
    done = "SELECT count(*) = 50 FROM search_outbox_events WHERE status = 'done'"
    eventually(lambda: sql.execute(done).fetchone() == (True,))  # its connections are open by now
    allow(ready, descriptors(ready))
    for _ in range(4):
        come(ready, crowd)
    began, used = monotonic(), seconds_of_cpu(ready)
    eventually(lambda: monotonic() - began > 3)
    spent = (seconds_of_cpu(ready) - used) / (monotonic() - began)
    assert spent < 0.3, f"{spent:.0%} of a core"
    allow(ready, 1024)
    eventually(lambda: ready.get("/healthz")[0] == 200, within=10)
