"""The body of a request, and the memory that all bodies under way take together.

`h11` was tried for the framing and refused: it answers 400 where `Host` is missing or a target holds a byte
above 0x7e, and bounds neither the number of headers nor what arrives at once.
"""

import threading
from collections.abc import Mapping
from io import BufferedIOBase

LINE = 65_536  # bytes of a chunk's head


class TooLargeError(Exception):
    """A body over the limit, or without memory for it; the rest of it is not read."""


class MemoryBudget:
    """So many bytes at a time; each thread releases what it took once its request is answered."""

    def __init__(self, size: int) -> None:
        self._free, self._lock, self._local = size, threading.Lock(), threading.local()

    def take(self, size: int) -> None:
        """Take so many bytes until `release`. TooLargeError where fewer are free."""
        with self._lock:
            if size > self._free:
                raise TooLargeError
            self._free -= size
        self._local.taken = self._taken + size

    def release(self) -> None:
        """Give back what this thread has taken."""
        with self._lock:
            self._free += self._taken
        self._local.taken = 0

    @property
    def _taken(self) -> int:
        return getattr(self._local, "taken", 0)


BUDGET = MemoryBudget(512 * 2**20)  # of this process


class RequestStream(BufferedIOBase):
    """A stream whose `readline` raises ConnectionError at its end."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line."""
        line = self._stream.readline(size)
        if not line:
            raise ConnectionError("the client left in the middle of its request")
        return line


def read(headers: Mapping[str, str], stream: BufferedIOBase, limit: int, memory: MemoryBudget) -> bytes:
    """Read a body of at most `limit` bytes: chunked, or as long as its Content-Length says.

    Raises TooLargeError; ValueError for a length that is no number or another transfer coding;
    ConnectionError where the client leaves before the end.
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length", "0")
    if coding is None:
        return _piece(stream, _number(length, 10), limit, memory)
    if coding.lower() != "chunked":
        raise ValueError("the only transfer coding that is understood here is chunked")
    body = bytearray()
    while size := _number(stream.readline(LINE).partition(b";")[0].decode("latin-1").strip(), 16):
        body += _piece(stream, size, limit - len(body), memory)
        _exactly(stream, len(b"\r\n"))
    while stream.readline(LINE).strip():
        pass  # trailers are not passed on
    return bytes(body)


def _piece(stream: BufferedIOBase, size: int, limit: int, memory: MemoryBudget) -> bytes:
    if size > limit:
        raise TooLargeError
    memory.take(size)
    return _exactly(stream, size)


def _number(text: str, base: int) -> int:
    if not text.isalnum():  # int() takes signs, blanks and underscores
        raise ValueError("the length of the body is no number")
    return int(text, base)


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise ConnectionError("the client left in the middle of its request")
    return content
