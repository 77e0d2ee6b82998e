"""A request as it arrived; of a bulk request its actions, some of which may be refused."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from outboxctl.drills.proxy.wire import ProxyReply

Refusal = tuple[int, Any]  # status and error of an item


@dataclass(frozen=True)
class BulkOperation:
    """One action of a bulk request, with its bytes; `document` is None for a delete."""

    verb: str
    meta: Mapping[str, Any]
    document: bytes | None
    raw: bytes

    @property
    def id(self) -> str:
        """Of its document; empty where the sink is to choose one."""
        return str(self.meta.get("_id", ""))

    def refused(self, status: int, error: Any) -> dict[str, Any]:
        """Its item in the answer where it was not applied."""
        return {self.verb: {"_id": self.id, "status": status, "error": error}}


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

    def actions(self) -> list[BulkOperation]:
        """Of a bulk request; none of a body that cannot be parsed, which is the sink's to refuse."""
        packed = self.headers.get("content-encoding", "").lower() == "gzip"
        try:
            return parse_bulk(gzip.decompress(self.body) if packed else self.body)
        except (ValueError, OSError, EOFError):
            return []

    def keeping(self, actions: list[BulkOperation]) -> "ProxyRequest":
        """The same bulk request with these actions alone."""
        headers = {name: value for name, value in self.headers.items() if name != "content-encoding"}
        return replace(self, headers=headers, body=b"".join(action.raw for action in actions))


Backend = Callable[[ProxyRequest], ProxyReply]  # applies a request, and answers it truthfully


def parse_bulk(body: bytes) -> list[BulkOperation]:
    """Parse a bulk request's body; ValueError where it is none."""
    lines = BytesIO(body)  # splits at \n only, as the engine does
    return [_operation(line, lines) for line in lines]


def _operation(line: bytes, lines: Iterator[bytes]) -> BulkOperation:
    try:
        ((verb, meta),) = json.loads(line).items()
        document = None if verb == "delete" else next(lines, b"")
        return BulkOperation(verb, {**meta}, document and document.rstrip(b"\n"), line + (document or b""))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"no line of a bulk request: {error}") from None


def apply_without(
    request: ProxyRequest, refusal: Callable[[str], Refusal | None], backend: Backend
) -> tuple[ProxyReply, int]:
    """Pass on the items that are not refused, and put the others into the answer; returns their count, too.

    An answer that holds no items (the sink refuses all) stays as it is.
    """
    actions = request.actions()
    kept = [action for action in actions if not refusal(action.id)]
    if len(kept) == len(actions):
        return backend(request), 0
    truth = backend(request.keeping(kept)) if kept else ProxyReply(200, b'{"items":[]}')
    try:
        applied = iter(json.loads(truth.body)["items"])
    except (ValueError, LookupError, TypeError):
        return truth, 0
    items = [
        action.refused(*refused) if (refused := refusal(action.id)) else next(applied) for action in actions
    ]
    body = json.dumps({"errors": True, "items": items}).encode()
    return replace(truth, body=body), len(actions) - len(kept)
