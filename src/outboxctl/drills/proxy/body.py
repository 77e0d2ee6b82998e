"""The body of a request, however it is framed."""

from collections.abc import Mapping
from io import BufferedIOBase

LINE = 65_536  # bytes of a chunk's head


class TooLargeError(Exception):
    """A body over the limit; the rest of it is not read."""


def read(headers: Mapping[str, str], stream: BufferedIOBase, limit: int) -> bytes:
    """Read a body of at most `limit` bytes: chunked, or as long as its Content-Length says.

    Raises TooLargeError; ValueError where its length cannot be told; ConnectionError where it ends
    before its end.
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length", "0")
    if coding is None:
        return _exactly(stream, _bounded(_number(length, 10), limit))
    if coding.lower() != "chunked":
        raise ValueError("the only transfer coding that is understood here is chunked")
    return _chunks(stream, limit)


def _chunks(stream: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while size := _number(stream.readline(LINE).partition(b";")[0].decode("latin-1").strip(), 16):
        _bounded(len(body) + size, limit)
        body += _exactly(stream, size)
        _exactly(stream, len(b"\r\n"))
    while stream.readline(LINE).strip():
        pass  # what comes behind the last chunk says nothing here
    return bytes(body)


def _number(text: str, base: int) -> int:
    if not text.isalnum():  # int() takes signs, blanks and underscores
        raise ValueError("the length of the body is no number")
    return int(text, base)


def _bounded(size: int, limit: int) -> int:
    if size > limit:
        raise TooLargeError
    return size


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise ConnectionError("the client left in the middle of its request")
    return found
