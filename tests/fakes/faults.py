"""Faults as data: what can be done with one request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fakes.wire import PRODUCT, Ending, Reply

Shape = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """What to do with one request; by default nothing special.

    It waits `before` seconds, applies the request unless `apply` is False (but refuses those of
    `items`: id to status and error), waits `after` seconds, and answers `reply` or, with `headers`
    added and put into another `shape`, the truth; the connection ends as `ending` says.
    """

    apply: bool = True
    before: float = 0
    after: float = 0
    reply: Reply | None = None
    items: Mapping[str, tuple[int, Any]] = field(default_factory=dict)
    shape: Shape | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    ending: Ending = Ending.ANSWER
    pace: float = 0.05

    def changed(self, truth: Reply) -> Reply:
        """The answer that is sent in place of the true one."""
        reply = self.reply or truth
        body = json.dumps(self.shape(json.loads(reply.body))).encode() if self.shape else reply.body
        return Reply(reply.status, body, {**reply.headers, **self.headers})


def refused(status: int, kind: str = "", reason: str = "", **headers: str) -> Fault:
    """The whole request refused: nothing applied, an error of Elasticsearch's shape."""
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {"root_cause": [error], **error}, "status": status}).encode()
    return Fault(apply=False, reply=Reply(status, body, {k.replace("_", "-"): v for k, v in headers.items()}))


def answered(status: int, body: bytes = b"", **headers: str | None) -> Fault:
    """The whole request answered by something in front of the sink: nothing applied, no product header."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(apply=False, reply=Reply(status, body, {PRODUCT: None, "Content-Type": None, **given}))


HEALTHY = Fault()
DROP_BEFORE = Fault(apply=False, ending=Ending.DROP)
DROP_AFTER = Fault(ending=Ending.DROP)
RESET_BEFORE = Fault(apply=False, ending=Ending.RESET)
RESET_AFTER = Fault(ending=Ending.RESET)
TRUNCATED = Fault(ending=Ending.TRUNCATE)
DRIPPED = Fault(ending=Ending.DRIP)
HTML = Fault(reply=Reply(200, b"<html>all is well</html>", {"Content-Type": "text/html"}))
EMPTY = Fault(reply=Reply(200))
NO_CONTENT = Fault(reply=Reply(204))
A_LIST = Fault(shape=lambda answer: [answer])
ITEM_MISSING = Fault(shape=lambda answer: answer | {"items": answer["items"][:-1]})
ITEM_TOO_MANY = Fault(shape=lambda answer: answer | {"items": [*answer["items"], answer["items"][0]]})
IDS_SWAPPED = Fault(shape=lambda answer: answer | {"items": answer["items"][::-1]})
STATUS_NOT_INT = Fault(shape=lambda answer: answer | {"items": [_as_text(i) for i in answer["items"]]})
NO_PRODUCT = Fault(headers={PRODUCT: None})
REDIRECT = Fault(apply=False, reply=Reply(302, b"{}", {"Location": "http://127.0.0.1:9/elsewhere"}))
BAD_GZIP = Fault(headers={"Content-Encoding": "gzip"})


def _as_text(item: dict[str, Any]) -> dict[str, Any]:
    return {verb: outcome | {"status": str(outcome["status"])} for verb, outcome in item.items()}
