"""The sink stopped or paused, and started or resumed."""

from collections.abc import Callable
from typing import Any

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.faults import processes, sink, sink_controls
from outboxctl.drills.faults.ledger import Ledger, undone_by
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.faults.sink_controls import Compose, SinkControl, listener
from outboxctl.drills.services.model import Say
from outboxctl.net.urls import parse_url
from outboxctl.settings import Settings

STOPPED, PAUSED = "sink-stopped", "sink-paused"
HURRY_SECONDS = 5.0  # for the undoing of a fault that was left over, before what the user asked for


def stop(control: SinkControl, url: str, say: Say) -> PlannedFault:
    """The sink stopped. UsageError where it does not answer, or another process listens at its port."""
    _require_answer(url)
    known = listener(control, _port(url)) is not None

    def begin() -> None:
        listener(control, _port(url))  # again: a pid may have changed while the ledger was locked
        control.stop(say)
        sink.wait_away(url)

    return PlannedFault(_fault(STOPPED, control, url, known=known, **sink_controls.facts(control)), begin)


def pause(control: SinkControl, url: str, say: Say) -> PlannedFault:
    """The sink paused: it takes connections and answers nothing. UsageError as above."""
    _require_answer(url)
    if isinstance(control, Compose):
        fault = _fault(PAUSED, control, url, **sink_controls.facts(control))
        return PlannedFault(fault, lambda: _pause_container(control, url, say))
    process = listener(control, _port(url))
    if process is None:
        hint = "name it with --pid-file, --unit, or --compose-file and --service"
        raise UsageError(f"{control.name}: the process to pause is unknown", hint=hint)

    def begin() -> None:
        processes.pause(process)
        sink.wait_away(url)

    return PlannedFault(_fault(PAUSED, control, url, **processes.identity(process)), begin)


def _pause_container(control: Compose, url: str, say: Say) -> None:
    processes.run(control.command("pause"), say)
    try:
        sink.wait_away(url)
    except BaseException:  # it was not the sink, and the undoing does nothing where the sink answers
        _continue(control, url, say)
        raise


def start(ledger: Ledger, control: SinkControl, url: str, say: Say) -> list[Fault]:
    """Undo every stop of this sink; where none is recorded and it does not answer, start it."""
    return _end_fault(ledger, STOPPED, url, lambda: control.start(say))


def resume(ledger: Ledger, control: SinkControl, url: str, say: Say) -> list[Fault]:
    """Undo every pause of this sink; where none is recorded and it does not answer, resume it."""
    return _end_fault(ledger, PAUSED, url, lambda: _continue(control, url, say))


def _end_fault(ledger: Ledger, kind: str, url: str, end: Callable[[], None]) -> list[Fault]:
    undone = [each for each in ledger.matching(kind, {"sink": url}) if ledger.undo(each)]
    if not undone and not sink.answers(url):
        end()
        sink.wait_back(url)
    return undone


def _continue(control: SinkControl, url: str, say: Say) -> None:
    if isinstance(control, Compose):
        processes.run(control.command("unpause"), say)
    elif process := listener(control, _port(url)):
        processes.resume(process)


@undone_by(STOPPED)
def _undo_stop(fault: Fault, _: Settings, say: Say) -> None:
    """A sink that answers may stop yet, unless it was observed to be stopped.

    A fault that is left over is undone without a long wait.
    """
    url, known = fault.facts["sink"], fault.facts.get("known", False)
    if fault.seen and sink.answers(url):
        return
    running = known and not fault.seen and not sink.goes_away(url)
    try:
        within = HURRY_SECONDS if fault.left_over else processes.COMMAND_SECONDS
        sink_controls.from_facts(fault.facts).start(say, within)
    except OutboxctlError:
        if not running:  # else nothing had happened, and what runs may not start a second time
            raise
    if not fault.left_over:
        sink.wait_back(url)
    elif not sink.comes_back(url, HURRY_SECONDS):
        say(f"{url} was started, and does not answer yet; if it never does, look at its log")


@undone_by(PAUSED)
def _undo_pause(fault: Fault, _: Settings, say: Say) -> None:
    if "pid" in fault.facts:
        processes.resume_if_there(fault.facts)
    elif not sink.answers(fault.facts["sink"]):
        _continue(sink_controls.from_facts(fault.facts), fault.facts["sink"], say)


def _fault(kind: str, control: SinkControl, url: str, **facts: Any) -> Fault:
    verb = kind.removeprefix("sink-")
    return Fault(kind, f"the sink at {url} is {verb} ({control.name})", {"sink": url, **facts})


def _require_answer(url: str) -> None:
    if not sink.answers(url):
        raise UsageError(f"{url} already does not answer", hint="see `outboxctl chaos list`")


def _port(url: str) -> int:
    return parse_url(url).port or 0  # settings have made it explicit
