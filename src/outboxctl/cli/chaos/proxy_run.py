"""The proxy at work: its fault, the setting for the workers, a live line, and the counts at the end."""

import inspect
from contextlib import nullcontext
from dataclasses import asdict
from time import monotonic
from typing import Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.chaos.hold import stop_signal, watch
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import export
from outboxctl.drills.proxy import Proxy, ProxyFault, faults

KNOWN = {made.__name__.replace("_", "-"): made for made in faults.ALL}


def chosen(name: str | None, flags: dict[str, Any]) -> ProxyFault | None:
    """The fault of that name with these flags (those that are not None); None without a name.

    Raises UsageError for flags that the fault does not take, and for one that it needs.
    """
    values = {flag: value for flag, value in flags.items() if value is not None}
    if name is None:
        if values:
            hint = f"--fault is one of: {', '.join(KNOWN)}"
            raise UsageError(f"{_flag(min(values))} says nothing without --fault", hint=hint)
        return None
    constructor = KNOWN[parse.one_of("--fault", name, list(KNOWN), "fault")]
    parameters = dict(inspect.signature(constructor).parameters)
    if parameters.pop("struck", None):
        share = inspect.Parameter("share", inspect.Parameter.KEYWORD_ONLY, default=1.0)
        parameters |= {"share": share, "everything": share}
    if unknown := sorted(values.keys() - parameters.keys()):
        own = ", ".join(map(_flag, parameters)) or "no flags of its own"
        raise UsageError(f"{_flag(unknown[0])} does not go with --fault {name}", hint=f"it takes {own}")
    for flag, parameter in parameters.items():
        if parameter.default is parameter.empty and flag not in values:
            raise UsageError(f"--fault {name} needs {_flag(flag)}")
    return constructor(**values)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run(proxy: Proxy, fault: ProxyFault | None, seconds: float, *, json: bool) -> None:
    """Serve for so many seconds, or until a signal, then print what passed."""
    with stop_signal() as signalled, proxy, proxy.fault(fault) if fault else nullcontext():
        typer.echo(export("ELASTIC_URL", proxy.url), err=json)
        began = monotonic()
        watch(lambda: _line(proxy, fault), seconds, signalled)
    report = {"fault": fault and fault.name, "seconds": round(monotonic() - began, 1), **asdict(proxy.counts)}
    counts = {name.replace("_", " "): value for name, value in report.items() if isinstance(value, int)}
    title = f"{report['fault'] or 'no fault'}, for {rendering.age(report['seconds'])}"
    table = rendering.counts(title, ("what came through", "count"), counts)
    rendering.show(report, lambda: [table], json=json)


def _line(proxy: Proxy, fault: ProxyFault | None) -> str:
    counts = proxy.counts
    text = f"{counts.requests:,} requests, {counts.struck:,} struck, {counts.items_failed:,} items failed"
    return f"{fault.name if fault else 'no fault'}: {text}"
