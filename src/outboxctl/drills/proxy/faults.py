"""The faults there are, each made by the function of its name.

Each befalls `share` of the bulk requests or, with `everything`, of all requests.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.fault import ProxyFault, Refusal
from outboxctl.drills.proxy.wire import PRODUCT, Ending, ProxyReply

BUSY = "es_rejected_execution_exception"
SAYS = "the fault proxy says so"
HTML = b"<html><body><h1>Something in front of the sink</h1></body></html>"
HASHES = 2**32


def refuse() -> ProxyFault:
    """Nothing listens: connections are refused, and those there are end."""
    return ProxyFault("refuse", everything=True, listening=False)


def blackhole() -> ProxyFault:
    """Connections are accepted and requests read, and nothing ever comes back or reaches the sink."""
    return ProxyFault("blackhole", everything=True, apply=False, ending=Ending.SILENCE)


def reset_before(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Reset before the sink has seen the request."""
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
    return _befalls("busy", refused(429, BUSY, SAYS, **headers), share, everything=everything)


def unavailable(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """503: the sink is there, and cannot work."""
    return _befalls("unavailable", refused(503, "unavailable", SAYS), share, everything=everything)


def gateway(*, applied: bool = True, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """502 in HTML from something in front of the sink, which has applied the request or, if not, not."""
    fault = replace(answered(502, HTML, Content_Type="text/html"), apply=applied)
    return _befalls("gateway", fault, share, everything=everything)


def too_large(over: int, *, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """413 for bodies of more than `over` bytes, empty and without the product header, as real ones are."""
    return replace(_befalls("too-large", answered(413), share, everything=everything), over=over)


def some_items(share: float, status: int = 429, kind: str = BUSY, reason: str = SAYS) -> ProxyFault:
    """That share of the items of each bulk request refused, chosen by their ids; the others are applied."""
    if not 0 < share <= 1:
        raise UsageError(f"the share of a fault is above 0 and at most 1, not {share}")
    refusal: Refusal = (status, {"type": kind, "reason": reason})
    return ProxyFault("some-items", items=lambda id_: refusal if _hash(id_) < share * HASHES else None)


def truncate(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Applied, and the answer shorter than it promised to be."""
    return ProxyFault("truncate", share, everything, ending=Ending.TRUNCATE)


def html(*, share: float = 1.0, everything: bool = False) -> ProxyFault:
    """Applied, and answered by a page: 200, and no answer to a bulk request."""
    fault = ProxyFault(reply=ProxyReply(200, HTML, {"Content-Type": "text/html"}))
    return _befalls("html", fault, share, everything=everything)


ALL: tuple[Callable[..., ProxyFault], ...] = (
    *(refuse, blackhole, reset_before, reset_after, drop_after, delay, drip),
    *(busy, unavailable, gateway, too_large, some_items, truncate, html),
)


def refused(status: int, kind: str = "", reason: str = "", **headers: str) -> ProxyFault:
    """The whole request refused: nothing applied, an error of Elasticsearch's shape."""
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {"root_cause": [error], **error}, "status": status}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProxyFault(apply=False, reply=ProxyReply(status, body, named))


def answered(status: int, body: bytes = b"", **headers: str | None) -> ProxyFault:
    """The whole request answered by something in front of the sink: nothing applied, no product header."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProxyFault(
        apply=False, reply=ProxyReply(status, body, {PRODUCT: None, "Content-Type": None, **given})
    )


def _hash(id_: str) -> int:
    return crc32(id_.encode(errors="surrogatepass"))


def _befalls(name: str, fault: ProxyFault, share: float, *, everything: bool) -> ProxyFault:
    return replace(fault, name=name, share=share, everything=everything)
