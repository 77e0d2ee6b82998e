"""The sink stopped or paused: the engine of `services up`, or by a pair of commands of the user's.

The ledger holds what a fault needs as JSON, commands too: its file is readable by its owner alone.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.faults import processes, sink
from outboxctl.drills.faults.ledger import Ledger, undone_by
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.services.model import Say
from outboxctl.drills.services.process import find
from outboxctl.net.urls import parse_url
from outboxctl.settings import Settings
from outboxctl.settings.folders import state_folder

STOPPED, PAUSED = "sink-stopped", "sink-paused"
HURRY_SECONDS = 5.0  # for the undoing of a fault that was left over, before what the user asked for


@dataclass(frozen=True)
class OwnServices:
    """The engine that `outboxctl services up` started, by its state folder."""

    name: ClassVar[str] = "services"
    state: str

    def stop(self, say: Say) -> None:
        """End it with SIGTERM; its data stays."""
        services.stop("search", Path(self.state), say=say)

    def start(self, say: Say, within: float = processes.COMMAND_SECONDS) -> None:  # noqa: ARG002 - it has a limit of its own
        """Start it on the same port and data, and wait until it answers."""
        services.start_search(Path(self.state), say=say)

    def process(self) -> psutil.Process:
        """Its process. UsageError where it does not run."""
        for each in services.status(Path(self.state)):
            if each.role == "search" and each.pid and each.born and (running := find(each.pid, each.born)):
                return running
        raise UsageError("the search engine of `services up` does not run")


@dataclass(frozen=True)
class Commands:
    """A pair of commands; they are split like a shell does, but no shell runs them."""

    name: ClassVar[str] = "command"
    stop_command: str
    start_command: str

    def stop(self, say: Say) -> None:
        """Stop it. Raises OutboxctlError."""
        processes.run(processes.split("--stop-command", self.stop_command), say)

    def start(self, say: Say, within: float = processes.COMMAND_SECONDS) -> None:
        """Start it again; it need not answer yet. OutboxctlError where that fails, or takes longer."""
        processes.run(processes.split("--start-command", self.start_command), say, within)


SinkControl = OwnServices | Commands


def own(url: str) -> OwnServices:
    """The engine of `services up`. UsageError where it is not the sink at this URL."""
    if not any(each.role == "search" and each.port == parse_url(url).port for each in services.status()):
        hint = "say --stop-command and --start-command"
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=hint)
    return OwnServices(str(state_folder()))


def stop(control: SinkControl, url: str, say: Say) -> PlannedFault:
    """The sink stopped. UsageError where it does not answer."""
    _require_answer(url)

    def begin() -> None:
        control.stop(say)
        sink.wait_away(url)

    return PlannedFault(_fault(STOPPED, control, url, means=control.name, **asdict(control)), begin)


def pause(control: OwnServices, url: str) -> PlannedFault:
    """The sink paused: it takes connections and answers nothing. UsageError as above."""
    _require_answer(url)
    process = control.process()

    def begin() -> None:
        processes.pause(process)
        sink.wait_away(url)

    return PlannedFault(_fault(PAUSED, control, url, **processes.identity(process)), begin)


def start(ledger: Ledger, control: SinkControl, url: str, say: Say) -> list[Fault]:
    """Undo every stop of this sink; where none is recorded and it does not answer, start it."""
    undone = [each for each in ledger.matching(STOPPED, {"sink": url}) if ledger.undo(each)]
    if not undone and not sink.answers(url):
        control.start(say)
        sink.wait_back(url)
    return undone


@undone_by(STOPPED)
def _undo_stop(fault: Fault, _: Settings, say: Say) -> None:
    """A sink that answers may stop yet, unless it was observed to be stopped.

    A fault that is left over is undone without a long wait.
    """
    url = fault.facts["sink"]
    if fault.seen and sink.answers(url):
        return
    running = not fault.seen and not sink.goes_away(url)
    try:
        within = HURRY_SECONDS if fault.left_over else processes.COMMAND_SECONDS
        _control(fault.facts).start(say, within)
    except OutboxctlError:
        if not running:  # else nothing had happened, and what runs may not start a second time
            raise
    if not fault.left_over:
        sink.wait_back(url)
    elif not sink.comes_back(url, HURRY_SECONDS):
        say(f"{url} was started, and does not answer yet; if it never does, look at its log")


@undone_by(PAUSED)
def _undo_pause(fault: Fault, _: Settings, __: Say) -> None:
    processes.resume_if_there(fault.facts)


def _control(facts: dict[str, Any]) -> SinkControl:
    if facts["means"] == OwnServices.name:
        return OwnServices(facts["state"])
    return Commands(facts["stop_command"], facts["start_command"])


def _fault(kind: str, control: SinkControl, url: str, **facts: Any) -> Fault:
    verb = kind.removeprefix("sink-")
    return Fault(kind, f"the sink at {url} is {verb} ({control.name})", {"sink": url, **facts})


def _require_answer(url: str) -> None:
    if not sink.answers(url):
        raise UsageError(f"{url} already does not answer", hint="see `outboxctl chaos list`")
