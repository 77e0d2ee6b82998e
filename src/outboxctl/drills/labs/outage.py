"""An outage of the sink: how labs bring it about, and confirm it."""

import socket

from outboxctl.drills import services
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.proxy import faults
from outboxctl.net.urls import parse_url

UNREACHABLE = "nothing listens where the worker sends"
STOPPED = "ES stopped"
REFUSED = "connections to ES refused (as with a wrong URL)"
CONNECT_SECONDS = 1.0
CONFIRM_SECONDS = 3.0


def refuse(ctx: LabContext) -> str:
    """Refuse every connection at the proxy. Returns how it was done. FaultNotConfirmed."""
    ctx.proxy_fault("every connection to the sink is refused", faults.refuse())
    ctx.confirm(UNREACHABLE, lambda: not _listens(ctx.proxy.url), CONFIRM_SECONDS)
    return REFUSED


def stop(ctx: LabContext) -> str:
    """Stop the lab's own search engine; where it has none, `refuse`. FaultNotConfirmed.

    The worker must send to the engine itself: a proxy before a stopped one would still answer.
    """
    own = ctx.namespace.own
    if own is None:
        return refuse(ctx)
    ctx.fault(
        "the search engine is stopped",
        lambda: services.stop("search", own),
        lambda: services.start_search(own),
    )
    ctx.confirm(UNREACHABLE, lambda: not _listens(ctx.namespace.ends["ELASTIC_URL"]), CONFIRM_SECONDS)
    return STOPPED


def _listens(url: str) -> bool:
    parts = parse_url(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 0), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
