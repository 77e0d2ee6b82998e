"""Faults that only tests need: answers that no proxy of ours gives, and names for some that it does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outboxctl.drills.proxy import faults
from outboxctl.drills.proxy.faults import HEALTHY, ProxyFault, refused
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply

__all__ = ["HEALTHY", "ProxyFault", "answered", "refused"]

Shape = Callable[[Any], Any]


@dataclass(frozen=True)
class Falsified(ProxyFault):
    """The true answer put into another `shape`, and with `headers` added."""

    shape: Shape | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def changed(self, truth: ProxyReply) -> ProxyReply:
        """The answer that is sent in place of the true one."""
        body = json.dumps(self.shape(json.loads(truth.body))).encode() if self.shape else truth.body
        return replace(truth, body=body, headers={**truth.headers, **self.headers})


def _items(change: Callable[[list[Any]], list[Any]]) -> Falsified:
    return Falsified(shape=lambda answer: answer | {"items": change(answer["items"])})


def answered(status: int, body: bytes = b"", **headers: str | None) -> ProxyFault:
    """The whole request answered by something in front of the sink: nothing applied, no product header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = ProxyReply(status, body, {PRODUCT: None, "Content-Type": None, **named})
    return ProxyFault(apply=False, reply=reply)


DROP_AFTER = faults.drop_after()
RESET_BEFORE = faults.reset_before()
RESET_AFTER = faults.reset_after()
TRUNCATED = faults.truncate()
DRIPPED = faults.drip()
HTML = faults.html()
EMPTY = ProxyFault(reply=ProxyReply(200))
NO_CONTENT = ProxyFault(reply=ProxyReply(204))
A_LIST = Falsified(shape=lambda answer: [answer])
ITEM_MISSING = _items(lambda items: items[:-1])
ITEM_TOO_MANY = _items(lambda items: [*items, items[0]])
IDS_SWAPPED = _items(lambda items: items[::-1])
STATUS_NOT_INT = _items(lambda items: [_as_text(item) for item in items])
SUCCESS_AND_ERROR = _items(lambda items: [_with(item, error={"type": "some_exception"}) for item in items])
NESTED_BODY = b'{"errors":false,"items":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
NESTED = ProxyFault(reply=ProxyReply(200, NESTED_BODY))
NO_PRODUCT = Falsified(headers={PRODUCT: None})
REDIRECT = ProxyFault(apply=False, reply=ProxyReply(302, b"{}", {"Location": "http://127.0.0.1:9/elsewhere"}))
BAD_GZIP = Falsified(headers={"Content-Encoding": "gzip"})


def _with(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {verb: outcome | changes for verb, outcome in item.items()}


def _as_text(item: dict[str, Any]) -> dict[str, Any]:
    return {verb: outcome | {"status": str(outcome["status"])} for verb, outcome in item.items()}
