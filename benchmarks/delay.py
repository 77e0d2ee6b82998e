"""A delay between two ends of TCP connections, in a process of its own: what netem does, for any user.

Bytes wait half of the round trip in each direction, as many as there are: the rate is not limited. What it
does not imitate is a network's TCP: no packets, no windows that open slowly. Opening a connection is not
delayed.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from selectors import SelectSelector
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

Address = tuple[str, int]


class Delayed(NamedTuple):
    """A proxy that delays: its address, and its process."""

    host: str
    port: int
    process: psutil.Process

    def url(self, url: str) -> str:
        """The URL of the other end, through it."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@{self.host}:{self.port}" if user else f"{self.host}:{self.port}"
        return parts._replace(netloc=netloc).geturl()

    def cpu_seconds(self) -> float:
        """CPU seconds of its process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def delayed(url: str, round_trip: float) -> Iterator[Delayed]:
    """A proxy to the end of this URL that adds `round_trip` seconds to each exchange."""
    parts, context = urlsplit(url), get_context("spawn")
    ours, theirs = context.Pipe()
    to = parts.hostname or "127.0.0.1", parts.port or 0
    process = context.Process(target=_serve, args=(theirs, to, round_trip / 2), daemon=True)
    process.start()
    try:
        yield Delayed("127.0.0.1", ours.recv(), psutil.Process(process.pid))
    finally:
        process.terminate()
        process.join()


def _serve(ready: Connection, to: Address, seconds: float) -> None:
    # select() waits for microseconds; epoll, asyncio's usual one, for whole milliseconds.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(SelectSelector())) as runner:
        runner.run(_listen(ready, to, seconds))


async def _listen(ready: Connection, to: Address, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(to, seconds), "127.0.0.1", 0, family=socket.AF_INET)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class Half(asyncio.Protocol):
    """One end of a connection; what it receives leaves by the other end after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[bytes | None] = deque()  # None: the end of the stream
        self.transport: asyncio.Transport | None = None
        self.other: Half | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._later(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base's names
        """See `asyncio.Protocol`."""
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        self._waiting.append(data)
        asyncio.get_running_loop().call_later(self._seconds, self._pass_on)

    def _pass_on(self) -> None:
        data, to = self._waiting.popleft(), self.other and self.other.transport
        if to and data is None:
            to.close()
        elif to and data and not to.is_closing():
            to.write(data)


class Near(Half):
    """The end of a client: its bytes wait until the far end is connected, and for the delay."""

    def __init__(self, to: Address, seconds: float) -> None:
        super().__init__(seconds)
        self._to = to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        assert self.transport
        self.transport.pause_reading()
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        assert self.transport
        far = Half(self._seconds)
        far.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._to)
        except OSError:
            self.transport.abort()
            return
        self.other = far
        self.transport.resume_reading()
