"""The faults of the proxy as data: each strikes a `share` of the bulk requests, or of `everything`."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from zlib import crc32

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.wire import PRODUCT, Ending, ProxyReply, ProxyRequest, Refusal

LONGEST = 86_400.0  # seconds
BUSY = "es_rejected_execution_exception"
REASON = "the fault proxy says so"
HTML = b"<html><body><h1>Something in front of the sink</h1></body></html>"
PAGE = {PRODUCT: None, "Content-Type": "text/html"}
HASHES = 2**32


@dataclass(frozen=True)
class ProxyFault:
    """What to do with one request; by default nothing special.

    It waits `before` seconds, applies the request unless `apply` is False (but refuses the items of
    whose id `items` returns a refusal), waits `after` seconds, and answers `reply` or the truth; the
    connection ends as `ending` says. Without `listening` there are no connections at all.

    Struck is a `share` of the bulk requests, or of `everything`, whose bodies are larger than `over` bytes.
    """

    name: str = ""
    share: float = 1.0
    everything: bool = False
    over: int = -1
    apply: bool = True
    before: float = 0
    after: float = 0
    reply: ProxyReply | None = None
    items: Callable[[str], Refusal | None] | None = None
    ending: Ending = Ending.ANSWER
    pace: float = 0.05
    listening: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"the share of a fault is above 0 and at most 1, not {self.share}")
        for seconds in (self.before, self.after, self.pace):
            if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST):
                raise UsageError(f"a fault takes between 0 seconds and a day, not {seconds}")

    def changed(self, truth: ProxyReply) -> ProxyReply:
        """The answer that is sent in place of the true one."""
        return self.reply or truth


HEALTHY = ProxyFault()


@dataclass(eq=False)
class ActiveFault:
    """A fault while it holds; `over` ends its waits. The same seed strikes the same requests."""

    fault: ProxyFault = HEALTHY
    over: threading.Event = field(default_factory=threading.Event)
    rng: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - chance, not a secret

    def strikes(self, request: ProxyRequest) -> bool:
        """Whether this request is struck; not thread-safe."""
        fault = self.fault
        eligible = (request.is_bulk or fault.everything) and len(request.body) > fault.over
        return eligible and (fault.share == 1 or self.rng.random() < fault.share)


def refused(status: int, kind: str = "", reason: str = "", **headers: str) -> ProxyFault:
    """The whole request refused: nothing applied, an error of Elasticsearch's shape."""
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {"root_cause": [error], **error}, "status": status}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProxyFault(apply=False, reply=ProxyReply(status, body, named))


Make = Callable[..., ProxyFault]
KNOWN: dict[str, Make] = {}  # the fourteen, by the name that a command has for them


def _always(name: str, **what: Any) -> Make:
    """A fault that takes no value; when it is made it may be given its `share`, and `everything`."""
    KNOWN[name] = lambda **struck: ProxyFault(name, **{**what, **struck})
    return KNOWN[name]


# Nothing listens: connections are refused, and those there are end.
refuse = _always("refuse", everything=True, listening=False)
# Connections are accepted and requests read, and nothing ever comes back or reaches the sink.
blackhole = _always("blackhole", everything=True, apply=False, ending=Ending.SILENCE)
# Reset before the sink has received the request, and once it has applied it.
reset_before = _always("reset-before", apply=False, ending=Ending.RESET)
reset_after = _always("reset-after", ending=Ending.RESET)
# Closed without an answer once the sink has applied the request.
drop_after = _always("drop-after", ending=Ending.DROP)
# 503: the sink is there, and cannot work.
unavailable = _always("unavailable", apply=False, reply=refused(503, "unavailable", REASON).reply)
# Applied, and the answer shorter than it promised to be, or a page: 200, and no answer to a bulk request.
truncate = _always("truncate", ending=Ending.TRUNCATE)
html = _always("html", reply=ProxyReply(200, HTML, {"Content-Type": "text/html"}))


def delay(seconds: float, *, applied: bool = False, **struck: Any) -> ProxyFault:
    """Passed on after so many seconds or, with `applied`, at once, and answered after them."""
    before, after = (0.0, seconds) if applied else (seconds, 0.0)
    return ProxyFault("delay", before=before, after=after, **struck)


def drip(pace: float = 0.05, **struck: Any) -> ProxyFault:
    """Applied, and answered a byte every `pace` seconds."""
    return ProxyFault("drip", pace=pace, ending=Ending.DRIP, **struck)


def busy(retry_after: int | None = None, **struck: Any) -> ProxyFault:
    """429: the sink has no room in its queue, and may say after how many seconds to come again."""
    headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
    return replace(refused(429, BUSY, REASON, **headers), name="busy", **struck)


def gateway(*, applied: bool = True, **struck: Any) -> ProxyFault:
    """502 in HTML from something in front of the sink, which has applied the request or, if not, not."""
    return ProxyFault("gateway", apply=applied, reply=ProxyReply(502, HTML, PAGE), **struck)


def too_large(over: int, **struck: Any) -> ProxyFault:
    """413 for bodies of more than `over` bytes, empty and without the product header, as real ones are."""
    reply = ProxyReply(413, headers={PRODUCT: None, "Content-Type": None})
    return ProxyFault("too-large", over=over, apply=False, reply=reply, **struck)


def some_items(share: float = 1.0) -> ProxyFault:
    """That share of the items of each bulk request answered 429, chosen by their ids; the others applied."""
    ProxyFault(share=share)  # UsageError for one that is none
    refusal: Refusal = (429, {"type": BUSY, "reason": REASON})

    def of(id_: str) -> Refusal | None:
        return refusal if crc32(id_.encode(errors="surrogatepass")) < share * HASHES else None

    return ProxyFault("some-items", items=of)


KNOWN |= {"delay": delay, "drip": drip, "busy": busy, "gateway": gateway}
KNOWN |= {"too-large": too_large, "some-items": some_items}
