"""The proxy at work: the setting for the workers, a live line, and the counts at the end."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

import typer
from rich.live import Live

from outboxctl.cli import rendering
from outboxctl.cli.chaos.stop_signals import stop_signal
from outboxctl.domain.printable import export
from outboxctl.drills.proxy import Proxy, ProxyFault

TICK = 0.2  # seconds until a signal is acted upon


def run(proxy: Proxy, fault: ProxyFault | None, longest: float | None, *, json: bool) -> None:
    """Serve until it is told to stop, `longest` seconds at most, then say what came through."""
    with stop_signal() as told, proxy, proxy.fault(fault) if fault else nullcontext():
        typer.echo(export("ELASTIC_URL", proxy.url), err=json)
        began = monotonic()
        _watch(proxy, fault, None if longest is None else began + longest, told)
    report = {"fault": fault and fault.name, "seconds": round(monotonic() - began, 1), **asdict(proxy.counts)}
    _show(report, json=json)


def _watch(proxy: Proxy, fault: ProxyFault | None, until: float | None, told: Callable[[], int]) -> None:
    """Wait, with a live line on a terminal."""
    out = rendering.console(stderr=True)
    if not out.is_terminal or out.is_dumb_terminal:
        while not told() and (until is None or monotonic() < until):
            sleep(TICK)
        return
    with Live(console=out, auto_refresh=False, transient=True) as live:
        while not told() and (until is None or monotonic() < until):
            live.update(rendering.cell(_line(proxy, fault, until)), refresh=True)
            sleep(TICK)


def _line(proxy: Proxy, fault: ProxyFault | None, until: float | None) -> str:
    seen = proxy.counts
    counts = f"{seen.requests:,} requests, {seen.struck:,} struck, {seen.items_failed:,} items failed"
    left = "^C ends it" if until is None else f"{rendering.age(max(0.0, until - monotonic()))} left"
    return f"{fault.name if fault else 'no fault'}: {counts}, {left}"


def _show(report: dict[str, Any], *, json: bool) -> None:
    if json:
        rendering.emit_json(report)
        return
    counts = {name.replace("_", " "): value for name, value in report.items() if isinstance(value, int)}
    title = f"{report['fault'] or 'no fault'}, for {rendering.age(report['seconds'])}"
    rendering.console().print(rendering.counts(title, ("what came through", "count"), counts))
