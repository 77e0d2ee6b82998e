"""A request as it arrived, and who can answer it."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from outboxctl.drills.proxy import ndjson
from outboxctl.drills.proxy.wire import ProxyReply

LARGEST = 128 * 2**20  # bytes of a body
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class ProxyRequest:
    """One request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> list[str]:
        """The segments of its path."""
        return self.target.partition("?")[0].strip("/").split("/")

    @property
    def is_bulk(self) -> bool:
        """Whether it is a bulk request."""
        return self.path[-1] == "_bulk"

    def actions(self) -> list[ndjson.BulkOperation]:
        """Of a bulk request, or nothing of one that cannot be read: that is the sink's to say."""
        try:
            return ndjson.parse(self._plain())
        except (ValueError, zlib.error):
            return []

    def keeping(self, actions: list[ndjson.BulkOperation]) -> "ProxyRequest":
        """The same bulk request with these actions alone."""
        headers = {name: value for name, value in self.headers.items() if name != "content-encoding"}
        return replace(self, headers=headers, body=b"".join(action.raw for action in actions))

    def _plain(self) -> bytes:
        if self.headers.get("content-encoding", "").lower() != "gzip":
            return self.body
        return zlib.decompressobj(GZIP).decompress(self.body, LARGEST)


class Backend(Protocol):
    """Answers requests, as truthfully as it can."""

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        """Apply and answer one request."""
        ...
