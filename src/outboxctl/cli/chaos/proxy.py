"""`chaos proxy`: a proxy before the sink that breaks what passes."""

from contextlib import nullcontext, suppress
from dataclasses import asdict
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import NotProduction, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import export

if TYPE_CHECKING:
    from outboxctl.drills.proxy import Proxy, ProxyFault
    from outboxctl.settings import Settings

NAMED = "`outboxctl --elastic-url URL chaos proxy`"
ANOTHER = f"unset ELASTIC_URL, or name the sink itself: {NAMED}"
# What a fault takes as NAME=VALUE; two of them need it.
VALUES = {"busy": int, "delay": float, "drip": float, "too-large": int}
NEEDED = {"delay": "seconds", "too-large": "bytes"}
# The faults that take no flag, and those that take --applied.
PLAIN, APPLIED = ("refuse", "blackhole"), ("delay", "gateway")


def proxy(
    fault: Annotated[
        str | None,
        typer.Option(metavar="NAME[=VALUE]", help="What happens to requests."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", help="Of the requests, or items, above 0 to 1 (all).", show_default=False),
    ] = None,
    applied: Annotated[
        bool | None,
        typer.Option(
            "--applied/--not-applied", help="delay, gateway: whether the sink applies the request first."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port of 127.0.0.1; 0: any free one.")
    ] = 9201,
    duration: Annotated[
        str | None, typer.Option("--for", help="End the proxy after this long: 30s, 5m.")
    ] = None,
    sure: NotProduction = False,
) -> None:
    """Forward requests to the search engine with faults, until ^C or for a while; workers connect to it.

    Faults: refuse, blackhole, reset-before, reset-after, drop-after, delay=SECONDS, drip or
    drip=SECONDS-A-BYTE, busy or busy=RETRY-AFTER, unavailable, gateway, too-large=BYTES, some-items,
    truncate, html. They happen to bulk requests, refuse and blackhole to all requests. The first line of
    output is the setting for the workers.

    Example: outboxctl chaos proxy --fault busy=2 --share 0.3 --for 30s
    """
    from outboxctl.drills.proxy import Proxy
    from outboxctl.sink.transport.open import files

    proxy_fault = chosen(fault, share=share, applied=applied)
    longest = parse.duration("--for", duration) if duration else None
    configured = settings()
    made = Proxy(_sink(configured, port, sure=sure), port, files=files(configured))
    _run(made, proxy_fault, longest.total_seconds() if longest else None)


def chosen(text: str | None, **flags: Any) -> "ProxyFault | None":
    """The fault of `NAME` or `NAME=VALUE` with these flags; None without a name. UsageError for a misfit."""
    from outboxctl.drills.proxy.faults import KNOWN

    given = {flag: value for flag, value in flags.items() if value is not None}
    if text is None:
        if given:
            raise UsageError(f"--{min(given)} says nothing without --fault")
        return None
    name, equals, value = text.partition("=")
    make = KNOWN[parse.one_of("--fault", name, list(KNOWN), "fault")]
    if equals and name not in VALUES:
        raise UsageError(f"--fault {name} takes no value")
    if name in NEEDED and not value:
        raise UsageError(f"--fault {name} needs its {NEEDED[name]}: --fault {name}=5")
    for flag in given:
        if name in PLAIN or (flag == "applied" and name not in APPLIED):
            raise UsageError(f"--{flag} does not go with --fault {name}")
    return make(*([_number(name, value)] if equals else []), **given)


def _number(name: str, value: str) -> float:
    try:
        number: float = VALUES[name](value)
    except ValueError:
        raise UsageError(f"--fault {name}: not a number: {value!r}") from None
    if number < 0:
        raise UsageError(f"--fault {name}: below 0: {value}")
    return number


def _sink(settings: "Settings", port: int, *, sure: bool) -> str:
    """The URL to pass requests on to; UsageError where that is not to be broken."""
    from outboxctl.drills.faults.gate import allow, local
    from outboxctl.net.urls import mask, parse_url

    if len(settings.sink_urls) > 1:
        raise UsageError("a proxy stands before one sink, not several", hint=f"name one: {NAMED}")
    (url,) = settings.sink_urls
    if local(url) and parse_url(url).port == port:
        raise UsageError(f"the proxy would stand before itself: the sink is {mask(url)}", hint=ANOTHER)
    allow(settings, "break what passes", sure=sure)
    return url


def _run(proxy: "Proxy", fault: "ProxyFault | None", seconds: float | None) -> None:
    """Serve for so many seconds, or until a signal, then print what passed."""
    from outboxctl.drills.signals import SignalReceived, raising

    name, began = fault.name if fault else "no fault", monotonic()
    with suppress(SignalReceived), raising(), proxy, proxy.fault(fault) if fault else nullcontext():
        typer.echo(export("ELASTIC_URL", proxy.url))
        Event().wait(seconds)
    counts = {name.replace("_", " "): count for name, count in asdict(proxy.counts).items()}
    title = f"{name}, for {rendering.age(monotonic() - began)}"
    rendering.console().print(rendering.counts(title, ("what came through", "count"), counts))
