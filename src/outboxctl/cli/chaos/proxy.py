"""`chaos proxy`: a proxy before the sink that breaks what passes."""

from math import inf
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import completion, parse
from outboxctl.cli.options import ElasticUrl, Json, NotProduction, settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.settings import Settings

ANOTHER = "unset ELASTIC_URL, or name the sink itself with --elastic-url"


def _of(flag: str, faults: str, text: str, **bounds: Any) -> Any:
    return typer.Option(flag, help=f"{faults}: {text}.", **bounds)


def proxy(
    fault: Annotated[
        str | None,
        typer.Option(help="What happens to requests.", autocompletion=completion.faults),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", help="Of the requests, or items, above 0 to 1 (all).", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="To all requests, not to bulk requests alone.")
    ] = False,
    retry_after: Annotated[
        int | None, _of("--retry-after", "busy", "seconds that the answer asks to wait", min=0)
    ] = None,
    seconds: Annotated[float | None, _of("--seconds", "delay", "how long")] = None,
    applied: Annotated[
        bool | None,
        _of("--applied/--not-applied", "delay, gateway", "whether the sink applies the request first"),
    ] = None,
    pace: Annotated[float | None, _of("--pace", "drip", "seconds from one byte to the next")] = None,
    over: Annotated[
        int | None, _of("--over", "too-large", "bytes of the largest body that passes", min=0)
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port of 127.0.0.1; 0: any free one.")
    ] = 9201,
    duration: Annotated[
        str | None, typer.Option("--for", help="End by itself after this long: 30s, 5m.")
    ] = None,
    elastic_url: ElasticUrl = None,
    sure: NotProduction = False,
    json: Json = False,
) -> None:
    """Stand before the sink and break what passes, until ^C or for a while; workers connect to it instead.

    Faults: refuse, blackhole, reset-before, reset-after, drop-after, delay, drip, busy, unavailable,
    gateway, too-large, some-items, truncate, html. They happen to bulk requests; with --everything, and
    refuse and blackhole always, to all requests. The first line of output is the setting for the workers.

    Example: outboxctl chaos proxy --fault busy --retry-after 2 --share 0.3 --for 30s
    """
    parameters = ("share", "retry_after", "seconds", "applied", "pace", "over")
    flags = {name: value for name, value in locals().items() if name in parameters}
    from outboxctl.cli.chaos.proxy_run import chosen, run
    from outboxctl.drills.proxy import Proxy
    from outboxctl.sink.transport.credentials import passing_on

    proxy_fault = chosen(fault, flags | {"everything": everything or None})
    longest = parse.optional(parse.duration, "--for", duration or None)
    configured = settings(elastic_url=elastic_url)
    proxy = Proxy(_sink(configured, port, sure=sure), port, files=passing_on(configured))
    run(proxy, proxy_fault, longest.total_seconds() if longest else inf, json=json)


def _sink(settings: "Settings", port: int, *, sure: bool) -> str:
    """The URL to pass requests on to; UsageError where that is not to be broken."""
    from outboxctl.drills.faults.gate import allow, local
    from outboxctl.net.urls import mask, parse_url

    if len(settings.sink_urls) > 1:
        raise UsageError("a proxy stands before one sink, not several", hint="name one: --elastic-url")
    (url,) = settings.sink_urls
    if local(url) and parse_url(url).port == port:
        raise UsageError(f"the proxy would stand before itself: the sink is {mask(url)}", hint=ANOTHER)
    allow(settings, "break what passes", sure=sure)
    return url
