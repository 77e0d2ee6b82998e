"""An outage of the sink: how labs bring it about, and confirm it."""

from outboxctl.drills import services
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.proxy import faults
from outboxctl.drills.services import sockets

UNREACHABLE = "nothing listens where the worker sends"
CONFIRM_SECONDS = 3.0


def refuse(ctx: LabContext) -> str:
    """Refuse every connection at the proxy. Returns how it was done. FaultNotConfirmed."""
    ctx.proxy_fault("every connection to the sink is refused", faults.refuse())
    _confirm(ctx, ctx.proxy.url)
    return "connections to ES refused (as with a wrong URL)"


def stop(ctx: LabContext) -> str:
    """Stop the lab's own engine, to which the worker sends without a proxy; where it has none, `refuse`."""
    own = ctx.namespace.own
    if own is None:
        return refuse(ctx)
    ctx.fault(
        "the search engine is stopped",
        lambda: services.stop("search", own),
        lambda: services.start_search(own),
    )
    _confirm(ctx, ctx.namespace.ends["ELASTIC_URL"])
    return "ES stopped"


def _confirm(ctx: LabContext, url: str) -> None:
    ctx.confirm(UNREACHABLE, lambda: not sockets.get(url, seconds=1)[0], CONFIRM_SECONDS)
