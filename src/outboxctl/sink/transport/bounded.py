"""The body of an answer: not encoded, for that was not asked for, and no larger than its request explains.

Both clients would decompress whatever comes, and read on until it ends.
"""

from typing import Any

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

MIB = 2**20
ROOT = MIB
BULK = 16 * MIB  # 10,000 items that all failed, for the longest of usual reasons
QUOTED = 4  # times its size: Elasticsearch 9.0.4 quotes a value that it refuses twice
DOCUMENTS = 512 * MIB  # of a page of whole documents: the engine has no bound of its own
OTHER = 64 * MIB  # mappings and statistics of a large cluster
CODINGS = frozenset(
    {"gzip", "x-gzip", "deflate", "br", "zstd", "compress"}
)  # RFC 9110, 8.4.1, and newer ones


class RefusedAnswerError(HTTPError):
    """An answer whose body is not read; `kind` is that of the `Answer`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def most(target: str, body: Any) -> int:
    """Bytes that the answer to a request may have."""
    path = target.partition("?")[0]
    if path.endswith("/_bulk"):
        return BULK + QUOTED * len(body or b"")
    if path.endswith(("/_search", "/_mget")):
        return DOCUMENTS
    return OTHER if path.strip("/") else ROOT


def bounding(connection: Any) -> Any:
    """A connection class that reads no more of an answer than it may be."""

    class Bounded(connection):  # type: ignore[misc]
        def request(self, method: str, url: str, body: Any = None, **kwargs: Any) -> Any:
            self._limit = most(url, body)
            return super().request(
                method, url, body, **kwargs | {"preload_content": False, "decode_content": False}
            )

        def getresponse(self) -> Any:
            # Where the base class reads a body at once, too: what ends it is handled in the same way.
            return _filled(super().getresponse(), self._limit, self)

    return Bounded


def _filled(response: BaseHTTPResponse, limit: int, connection: Any) -> BaseHTTPResponse:
    """Give a response its body; an empty one where that is refused and the status says enough.

    Raises RefusedAnswerError for a 2xx, and what urllib3 raises.
    """
    body, fault = _read(response, limit)
    if fault:
        response.close()
        connection.close()  # what is still to come is no answer to the next request
        if 200 <= response.status < 300:  # noqa: PLR2004 - any 2xx
            raise fault
    response._body = body  # type: ignore[attr-defined] # what urllib3 does that reads it at once
    return response


def _read(response: BaseHTTPResponse, limit: int) -> tuple[bytes, RefusedAnswerError | None]:
    if fault := _coding(response) or _length(response, limit):
        return b"", fault
    body = response.read() if response.length_remaining is not None else response.read(limit + 1)
    return (body, None) if len(body) <= limit else (b"", _too_large(limit))


def _coding(response: BaseHTTPResponse) -> RefusedAnswerError | None:
    given = response.headers.get("content-encoding", "identity").strip().lower()
    if given == "identity" or response.length_remaining == 0:
        return None
    known = all(part.strip() in CODINGS for part in given.split(","))  # no text of a stranger in our log
    name = given[:40] if known else "an unknown one"
    return RefusedAnswerError("encoded", f"the answer has a content coding that was not asked for: {name}")


def _length(response: BaseHTTPResponse, limit: int) -> RefusedAnswerError | None:
    return _too_large(limit) if (response.length_remaining or 0) > limit else None


def _too_large(limit: int) -> RefusedAnswerError:
    return RefusedAnswerError(
        "oversized", f"the answer is larger than {limit:,} bytes, the most for its request"
    )
