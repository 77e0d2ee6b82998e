"""A reply of the sink: its status, headers and body, and what the engine calls an error."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from outboxctl.domain.failures import UNKNOWN, Answer
from outboxctl.domain.redaction import cut
from outboxctl.sink.transport.aws import QUOTE, advised

WRONG_PRODUCT = Answer(200, "wrong_product", "no X-Elastic-Product header", request=True)
FORBIDDEN, NOT_FOUND = 403, 404
REFUSED = (401, FORBIDDEN)
LONGEST_WAIT = 86_400.0  # seconds: a Retry-After beyond a day is a day
NESTED = "the body is nested too deeply to be read"
Decode = Callable[[bytes], Any]  # of the body of a 2xx; raises ValueError or RecursionError as json.loads


class SinkReply(NamedTuple):
    """An answer of any status, its body as bytes; `node` is its URL, without credentials."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    node: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004


def body_of(reply: SinkReply | Answer, decode: Decode = json.loads, *, head: bool = False) -> Any | Answer:
    """The body of a 2xx by `decode` (None: empty; of a `head`: is it there), or an Answer: why not."""
    if isinstance(reply, Answer):
        return reply
    if head and (reply.ok or reply.status == NOT_FOUND):
        return reply.ok
    try:
        body = (decode if reply.ok else json.loads)(reply.body) if reply.body else None
    except (ValueError, RecursionError) as error:
        if reply.ok:
            text = NESTED if isinstance(error, RecursionError) else cut(str(error), 500)
            return Answer(reply.status, "bad_response", text, request=True, node=reply.node)
        body = reply.body.decode(errors="replace")
    if reply.ok:
        return body
    names = ("error", "message", "Message")  # the engine's; those of AWS
    said = next((body[n] for n in names if n in body), None) if isinstance(body, dict) else body
    kind, text = error_of(said)
    text = advised(text) if reply.status in REFUSED else text
    seconds = reply.headers.get("retry-after", "").strip()
    wait = min(float(seconds), LONGEST_WAIT) if seconds.isdecimal() else 0.0
    return Answer(reply.status, kind, text, request=True, retry_after=wait, node=reply.node)


def error_of(error: Any) -> tuple[str, str]:
    """Type and reason (with the cause's) of an `error` of any shape and depth; only None is no error."""
    if error is None:
        return "", ""
    try:
        if not isinstance(error, dict):
            return UNKNOWN, cut(str(error).partition(QUOTE)[0], 500)
        cause, kind = error.get("caused_by"), error.get("type")
        inner = f" ({cause.get('type')}: {cause.get('reason')})" if isinstance(cause, dict) else ""
        return kind if isinstance(kind, str) and kind else UNKNOWN, f"{error.get('reason')}{inner}"
    except RecursionError:
        return UNKNOWN, "an error that is nested too deeply to be shown"
