"""`chaos`: the search engine stopped, workers killed, a fault proxy, and the end of every fault."""

from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from threading import Event
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.guards import checked_database
from outboxctl.cli.options import DryRun, FaultDuration, NotProduction, group, settings
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.printable import export
from outboxctl.drills.signals import SignalReceived, raising, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outboxctl.drills.faults.engine import SinkControl
    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.drills.faults.records import PlannedFault
    from outboxctl.drills.proxy import Proxy, ProxyFault
    from outboxctl.settings import Settings

NAMED = "`outboxctl --elastic-url URL chaos proxy`"
ANOTHER = f"unset ELASTIC_URL, or name the sink itself: {NAMED}"
# What a fault takes as NAME=VALUE; two of them need it.
VALUES = {"busy": int, "delay": float, "drip": float, "too-large": int}
NEEDED = {"delay": "seconds", "too-large": "bytes"}
# The faults that take no flag, and those that take --applied.
PLAIN, APPLIED = ("refuse", "blackhole"), ("delay", "gateway")
app = group("Cause faults on purpose, on systems that are not production.")
es = group("Stop the search engine, and start it again.")
app.add_typer(es, name="es")
StopCommand = Annotated[str | None, typer.Option(help="This stops it.")]
StartCommand = Annotated[str | None, typer.Option(help="This starts it again.")]


@es.command()
def stop(
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause it (SIGSTOP): it takes connections and answers nothing.")
    ] = False,
    duration: FaultDuration = None,
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    sure: NotProduction = False,
) -> None:
    """Stop the search engine: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    from outboxctl.drills.faults import engine

    configured, url, control = _control("pause" if pause else "stop", stop_command, start_command, sure=sure)
    planned = engine.pause(control, url) if pause else engine.stop(control, url, print_line)
    _cause(configured, [planned], duration)


@es.command()
def start(
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    sure: NotProduction = False,
) -> None:
    """Start the search engine that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    from outboxctl.drills.faults.ledger import start_sink

    configured, url, control = _control("start", stop_command, start_command, sure=sure)
    began = monotonic()
    start_sink(_ledger(configured), control, url, print_line)
    _print_result(f"{url} answers, after {rendering.age(monotonic() - began)}")


@app.command()
def kill(
    worker_id: Annotated[
        str | None, typer.Option("--id", help="The worker's name (OUTBOX_WORKER_ID).")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All workers of this machine, or of that name.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause them (SIGSTOP): they hold their claims and do nothing.")
    ] = False,
    duration: FaultDuration = None,
    sure: NotProduction = False,
) -> None:
    """Kill workers of this machine (SIGKILL): their events are reclaimed once their leases have ended.

    Only a process that is proved to be a worker of this database is touched. --for is for --pause.

    Example: outboxctl chaos kill --id w1
    """
    from outboxctl.core.stats import workers as rows
    from outboxctl.drills.faults import processes
    from outboxctl.drills.faults.ledger import kill_worker

    if duration is not None and not pause:
        raise UsageError("--for does not go with a kill", hint="it ends a --pause")
    configured = _allowed("pause workers" if pause else "kill workers", sure=sure)
    with checked_database(configured) as db, db.begin() as connection:
        registered, now = rows.all_workers(connection), rows.clock(connection)
    chosen = processes.chosen_workers(registered, now, worker_id=worker_id, every=every)
    if pause:
        _cause(configured, [processes.pause_worker(each) for each in chosen], duration)
        return
    for each in chosen:
        kill_worker(_ledger(configured), each)
        _print_result(f"killed {each.name}")


@app.command()
def undo(dry_run: DryRun = False) -> None:
    """Undo every fault, whoever began it; needs no permission. Those that cannot be undone stay.

    With --dry-run list them. The processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo
    """
    from outboxctl.drills.faults import records
    from outboxctl.drills.scratch import sweep

    faults, failed = records.load(records.folder()), None
    if not faults:
        _print_result("no faults under way")
    if dry_run:
        for each in faults:
            holder = "" if each.pid is None else f", held by pid {each.pid} on {each.host}"
            _print_result(f"{each.id}  {each.what}, since {each.since}{holder}")
        return
    sweep("lab", print_line)
    ledger = _ledger(settings())
    for fault in faults:
        try:
            if ledger.undo(fault):
                _print_result(f"undone: {fault.what}")
        except OutboxctlError as error:  # the others are undone all the same
            failed = failed or error
    if failed:
        raise failed


@app.command()
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

    proxy_fault = parse_fault(fault, share=share, applied=applied)
    longest = parse.duration("--for", duration) if duration else None
    configured = settings()
    made = Proxy(_sink(configured, port, sure=sure), port, files=files(configured))
    _run(made, proxy_fault, longest.total_seconds() if longest else None)


def _ledger(settings: "Settings") -> "Ledger":
    """Open the ledger; it reports on stderr what takes long."""
    from outboxctl.drills.faults.ledger import Ledger

    return Ledger(settings, say=print_line)


def print_line(line: str) -> None:
    """Print a line on stderr; a terminal that was closed meanwhile keeps no fault from being undone."""
    with suppress(OSError):
        rendering.console(stderr=True).print(rendering.cell(line, 1_000))


def undo_leftovers(settings: "Callable[[], Settings]") -> None:
    """Undo what a killed `chaos` or `lab` left, or keep it in the ledger; only then are `settings` read."""
    from outboxctl.drills.faults import records

    if records.load(records.folder()):
        _ledger(settings()).recover()


def undo_killed_runs() -> None:
    """Undo what killed runs of labs left: processes, services and faults. Only a run calls it."""
    from outboxctl.drills.scratch import sweep

    sweep("lab", print_line)
    undo_leftovers(settings)  # after the workers have ended: they could use what is undone


def _print_result(line: str) -> None:
    """Print a line of the result on stdout."""
    typer.echo(rendering.cell(line, 1_000).plain)


def _cause(settings: "Settings", planned: "Sequence[PlannedFault]", duration: str | None) -> None:
    """Begin the faults, hold them for `--for` or until a signal, undo them. OutboxctlError if one fails."""
    seconds = None if duration is None else parse.duration("--for", duration).total_seconds()
    ledger, began, stays = _ledger(settings), monotonic(), False
    with suppress(SignalReceived), raising() as signals, ExitStack() as stack:
        for fault, begin in planned:
            if seconds is None:
                stack.callback(undisturbed, partial(ledger.undo, fault))  # if one does not begin well
                ledger.begin(fault, begin)
            else:
                stack.enter_context(ledger.holding(fault, begin))
            print_line(f"{fault.what}, after {rendering.age(monotonic() - began)}")
        if seconds is None:
            stack.pop_all()
            stays = True
        else:
            print_line(f"undone in {rendering.age(seconds)}, or on ^C")
            sleep(seconds)
    end = "until `outboxctl chaos undo`" if stays else f"undone after {rendering.age(monotonic() - began)}"
    for fault, _ in planned:
        _print_result(f"{fault.id}  {fault.what}: {end}")
    if signals:
        raise typer.Exit(128 + signals[0])


def _allowed(what: str, *, sure: bool) -> "Settings":
    """Return the settings, once what a killed command left is undone. UsageError if `what` is not allowed."""
    from outboxctl.drills.faults.gate import allow

    configured = settings()
    allow(configured, what, sure=sure)
    undo_leftovers(lambda: configured)
    return configured


def _control(
    verb: str, stop_command: str | None, start_command: str | None, *, sure: bool
) -> "tuple[Settings, str, SinkControl]":
    """Return settings, URL of the engine, what stops and starts it. UsageError if `verb` is not allowed."""
    from outboxctl.drills.faults import engine

    configured = _allowed(f"{verb} the sink", sure=sure)
    url = engine.sink_url(configured)
    if stop_command and start_command:
        return configured, url, engine.SinkControl(stop_command=stop_command, start_command=start_command)
    if stop_command or start_command:
        raise UsageError("--stop-command and --start-command go together")
    return configured, url, engine.own(url)


def parse_fault(text: str | None, **flags: Any) -> "ProxyFault | None":
    """Return the fault of `NAME` or `NAME=VALUE` with these flags; None without a name. UsageError."""
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
    """Return the URL to pass requests on to. UsageError if it may not be broken."""
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
    name, began = fault.name if fault else "no fault", monotonic()
    with suppress(SignalReceived), raising(), proxy, proxy.fault(fault) if fault else nullcontext():
        typer.echo(export("ELASTIC_URL", proxy.url))
        Event().wait(seconds)
    counts = {name.replace("_", " "): count for name, count in asdict(proxy.counts).items()}
    title = f"{name}, for {rendering.age(monotonic() - began)}"
    rendering.console().print(rendering.counts(title, ("what came through", "count"), counts))
