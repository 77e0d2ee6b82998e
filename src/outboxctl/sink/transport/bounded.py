"""The body of an answer: not encoded, for that was not asked for, and no larger than its request explains."""

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

MIB = 2**20
ROOT = MIB
BULK = 16 * MIB  # 10,000 items that all failed, for the longest of usual reasons
QUOTED = 4  # times its size: Elasticsearch 9.0.4 quotes a value that it refuses twice
DOCUMENTS = 512 * MIB  # of a page of whole documents: the engine has no bound of its own
OTHER = 64 * MIB  # mappings and statistics of a large cluster
# RFC 9110, 8.4.1, and newer ones.
CODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress"})


class RefusedAnswerError(HTTPError):
    """An answer whose body is not read; `kind` is that of the `Answer`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def most(target: str, body: bytes | None) -> int:
    """Bytes that the answer to a request may have."""
    path = target.partition("?")[0]
    if path.endswith("/_bulk"):
        return BULK + QUOTED * len(body or b"")
    if path.endswith(("/_search", "/_mget")):
        return DOCUMENTS
    return OTHER if path.strip("/") else ROOT


def read(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body. Raises RefusedAnswerError for one that is encoded or larger, and what urllib3 raises."""
    if response.length_remaining == 0:
        return b""
    _refuse_coding(response.headers.get("content-encoding", "identity").strip().lower())
    if (response.length_remaining or 0) > limit:
        raise _too_large(limit)
    body = response.read() if response.length_remaining is not None else response.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _refuse_coding(coding: str) -> None:
    if coding != "identity":
        known = all(part.strip() in CODINGS for part in coding.split(","))  # the log gets no other text
        name = coding[:40] if known else "an unknown one"
        text = f"the answer has a content coding that was not asked for: {name}"
        raise RefusedAnswerError("encoded", text)


def _too_large(limit: int) -> RefusedAnswerError:
    text = f"the answer is larger than {limit:,} bytes, the most for its request"
    return RefusedAnswerError("oversized", text)
