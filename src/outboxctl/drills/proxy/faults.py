"""The faults of the proxy as data, each made by the function of its name.

Each strikes `share` of the bulk requests or, with `everything`, of all requests.
"""

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from zlib import crc32

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.request import ProxyRequest, Refusal
from outboxctl.drills.proxy.wire import PRODUCT, Ending, ProxyReply

LONGEST = 86_400.0  # seconds
BUSY = "es_rejected_execution_exception"
REASON = "the fault proxy says so"
HTML = b"<html><body><h1>Something in front of the sink</h1></body></html>"
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
        _check_share(self.share)
        for seconds in (self.before, self.after, self.pace):
            if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST):
                raise UsageError(f"a fault takes between 0 seconds and a day, not {seconds}")

    def changed(self, truth: ProxyReply) -> ProxyReply:
        """The answer that is sent in place of the true one."""
        return self.reply or truth

    @property
    def loses(self) -> bool:
        """Whether the client does not receive the sink's answer."""
        return self.reply is not None or self.ending in {Ending.DROP, Ending.RESET, Ending.TRUNCATE}


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise UsageError(f"the share of a fault is above 0 and at most 1, not {share}")


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


def refuse() -> ProxyFault:
    """Nothing listens: connections are refused, and those there are end."""
    return ProxyFault("refuse", everything=True, listening=False)


def blackhole() -> ProxyFault:
    """Connections are accepted and requests read, and nothing ever comes back or reaches the sink."""
    return ProxyFault("blackhole", everything=True, apply=False, ending=Ending.SILENCE)


def reset_before(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Reset before the sink has received the request."""
    return ProxyFault("reset-before", share, everything, apply=False, ending=Ending.RESET)


def reset_after(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Reset once the sink has applied the request."""
    return ProxyFault("reset-after", share, everything, ending=Ending.RESET)


def drop_after(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Closed without an answer once the sink has applied the request."""
    return ProxyFault("drop-after", share, everything, ending=Ending.DROP)


def delay(
    seconds: float, *, applied: bool = False, share: float = 1.0, everything: bool = False
) -> ProxyFault:
    """Passed on after so many seconds or, with `applied`, at once, and answered after them."""
    before, after = (0.0, seconds) if applied else (seconds, 0.0)
    return ProxyFault("delay", share, everything, before=before, after=after)


def drip(pace: float = 0.05, *, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Applied, and answered a byte every `pace` seconds."""
    return ProxyFault("drip", share, everything, pace=pace, ending=Ending.DRIP)


def busy(retry_after: int | None = None, *, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """429: the sink has no room in its queue, and may say after how many seconds to come again."""
    headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
    return _striking("busy", refused(429, BUSY, REASON, **headers), share, everything=everything)


def unavailable(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """503: the sink is there, and cannot work."""
    return _striking("unavailable", refused(503, "unavailable", REASON), share, everything=everything)


def gateway(*, applied: bool = True, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """502 in HTML from something in front of the sink, which has applied the request or, if not, not."""
    fault = replace(answered(502, HTML, Content_Type="text/html"), apply=applied)
    return _striking("gateway", fault, share, everything=everything)


def too_large(over: int, *, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """413 for bodies of more than `over` bytes, empty and without the product header, as real ones are."""
    return replace(_striking("too-large", answered(413), share, everything=everything), over=over)


def some_items(share: float, status: int = 429, kind: str = BUSY, reason: str = REASON) -> ProxyFault:
    """That share of the items of each bulk request refused, chosen by their ids; the others are applied."""
    _check_share(share)
    refusal: Refusal = (status, {"type": kind, "reason": reason})
    return ProxyFault("some-items", items=lambda id_: refusal if _hash(id_) < share * HASHES else None)


def truncate(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Applied, and the answer shorter than it promised to be."""
    return ProxyFault("truncate", share, everything, ending=Ending.TRUNCATE)


def html(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Applied, and answered by a page: 200, and no answer to a bulk request."""
    fault = ProxyFault(reply=ProxyReply(200, HTML, {"Content-Type": "text/html"}))
    return _striking("html", fault, share, everything=everything)


ALL: tuple[Callable[..., ProxyFault], ...] = (
    *(refuse, blackhole, reset_before, reset_after, drop_after, delay, drip),
    *(busy, unavailable, gateway, too_large, some_items, truncate, html),
)


def refused(status: int, kind: str = "", reason: str = "", **headers: str) -> ProxyFault:
    """The whole request refused: nothing applied, an error of Elasticsearch's shape."""
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {"root_cause": [error], **error}, "status": status}).encode()
    return ProxyFault(apply=False, reply=ProxyReply(status, body, _dashed(headers)))


def answered(status: int, body: bytes = b"", **headers: str | None) -> ProxyFault:
    """The whole request answered by something in front of the sink: nothing applied, no product header."""
    shown = {PRODUCT: None, "Content-Type": None, **_dashed(headers)}
    return ProxyFault(apply=False, reply=ProxyReply(status, body, shown))


def _dashed(headers: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _hash(id_: str) -> int:
    return crc32(id_.encode(errors="surrogatepass"))


def _striking(name: str, fault: ProxyFault, share: float, *, everything: bool) -> ProxyFault:
    return replace(fault, name=name, share=share, everything=everything)
