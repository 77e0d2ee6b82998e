"""A reply of the sink: its status, headers and body, and what the engine calls an error."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, NamedTuple

from outboxctl.domain.failures import UNKNOWN, Answer
from outboxctl.domain.redaction import cut

WRONG_PRODUCT = Answer(200, "wrong_product", "no X-Elastic-Product header", request=True)
FORBIDDEN, NOT_FOUND = 403, 404
LONGEST_WAIT = 86_400.0  # seconds: a Retry-After beyond a day is a day
NESTED = "the body is nested too deeply to be read"
Decode = Callable[[bytes], Any]  # of the body of a 2xx; raises ValueError or RecursionError as json.loads


class SinkReply(NamedTuple):
    """An answer of any status: its headers, and its body parsed where it is JSON, None where it is empty.

    `node`: the URL that it came from, masked.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    node: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004


def parsed(reply: SinkReply, decode: Decode = json.loads) -> SinkReply | Answer:
    """The reply with its body, bytes so far, as JSON; an Answer for a 2xx whose body is none.

    `decode` is used for a 2xx.
    """
    if not reply.body:
        return reply._replace(body=None)
    try:
        return reply._replace(body=(decode if reply.ok else json.loads)(reply.body))
    except (ValueError, RecursionError) as error:
        if not reply.ok:
            return reply._replace(body=reply.body.decode(errors="replace"))
        text = NESTED if isinstance(error, RecursionError) else cut(str(error), 500)
        return Answer(reply.status, "bad_response", text, request=True, node=reply.node)


def error_of(error: Any) -> tuple[str, str]:
    """Type and reason (with the cause's) of an `error` of any shape and depth; only None is no error."""
    if error is None:
        return "", ""
    try:
        return _named(error)
    except RecursionError:
        return UNKNOWN, "an error that is nested too deeply to be shown"


def _named(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return UNKNOWN, cut(str(error), 500)
    cause, kind = error.get("caused_by"), error.get("type")
    inner = f" ({cause.get('type')}: {cause.get('reason')})" if isinstance(cause, dict) else ""
    return kind if isinstance(kind, str) and kind else UNKNOWN, f"{error.get('reason')}{inner}"


def body_of(reply: SinkReply | Answer, *, head: bool = False) -> Any | Answer:
    """The body of a 2xx reply, or an Answer that says why there is none; whether it is there, for a HEAD."""
    if isinstance(reply, Answer):
        return reply
    if reply.ok:
        return True if head else reply.body
    return False if head and reply.status == NOT_FOUND else _refused(reply)


def _refused(reply: SinkReply) -> Answer:
    kind, text = error_of(reply.body.get("error") if isinstance(reply.body, dict) else reply.body)
    wait = _seconds(reply.headers.get("retry-after"))
    return Answer(reply.status, kind, text, request=True, retry_after=wait, node=reply.node)


def _seconds(retry_after: str | None) -> float:
    """A Retry-After header, a number of seconds or a date (RFC 9110, 10.2.3), as seconds from now."""
    with suppress(TypeError, ValueError, OverflowError):
        if str(retry_after).strip().isdecimal():
            return min(float(str(retry_after)), LONGEST_WAIT)
        moment = parsedate_to_datetime(str(retry_after))
        return min(max(0.0, moment.timestamp() - time()), LONGEST_WAIT)
    return 0.0
