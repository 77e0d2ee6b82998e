"""The search engine stopped or paused: that of `services up`, or another by a pair of commands.

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


@dataclass(frozen=True)
class OwnServices:
    """The engine that `outboxctl services up` started, by its state folder."""

    name: ClassVar[str] = "services"
    state: str

    def stop(self, say: Say) -> None:
        """End it with SIGTERM; its data stays."""
        services.stop("search", Path(self.state), say=say)

    def start(self, say: Say) -> None:
        """Start it on the same port and data, and wait until it answers."""
        services.start_search(Path(self.state), say=say)


@dataclass(frozen=True)
class Commands:
    """A pair of commands; they are split like a shell does, but no shell runs them."""

    name: ClassVar[str] = "command"
    stop_command: str
    start_command: str

    def stop(self, say: Say) -> None:
        """Stop it. Raises OutboxctlError."""
        processes.run("--stop-command", self.stop_command, say)

    def start(self, say: Say) -> None:
        """Start it again; it need not answer yet. Raises OutboxctlError."""
        processes.run("--start-command", self.start_command, say)


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

    return PlannedFault(_fault(STOPPED, url, control.name, means=control.name, **asdict(control)), begin)


def pause(control: SinkControl, url: str) -> PlannedFault:
    """The engine of `services up` paused. UsageError where it does not answer, or is another one."""
    _require_answer(url)
    process = _process(control)

    def begin() -> None:
        processes.pause(process)
        sink.wait_away(url)

    return PlannedFault(_fault(PAUSED, url, control.name, **processes.identity(process)), begin)


def start(ledger: Ledger, control: SinkControl, url: str, say: Say) -> list[Fault]:
    """Undo every fault of this sink; where none is recorded and it does not answer, start it."""
    undone = [each for each in ledger.matching({"sink": url}) if ledger.undo(each)]
    if not undone and not sink.answers(url):
        control.start(say)
        sink.wait_back(url)
    return undone


@undone_by(STOPPED)
def _undo_stop(fault: Fault, _: Settings, say: Say) -> None:
    """A sink that answers may be about to stop; one that goes on answering may refuse a second start."""
    url, facts = fault.facts["sink"], fault.facts
    stays = sink.answers(url) and not sink.goes_away(url)
    own_engine = facts["means"] == OwnServices.name
    control: SinkControl = (
        OwnServices(facts["state"]) if own_engine else Commands(facts["stop_command"], facts["start_command"])
    )
    try:
        control.start(say)
    except OutboxctlError:
        if not stays:
            raise
    sink.wait_back(url)


@undone_by(PAUSED)
def _undo_pause(fault: Fault, _: Settings, __: Say) -> None:
    processes.resume_if_there(fault.facts)


def _process(control: SinkControl) -> psutil.Process:
    if not isinstance(control, OwnServices):
        raise UsageError("only the search engine of `services up` can be paused")
    for each in services.status(Path(control.state)):
        if each.role == "search" and each.pid and each.born and (running := find(each.pid, each.born)):
            return running
    raise UsageError("the search engine of `services up` does not run")


def _fault(kind: str, url: str, means: str, /, **facts: Any) -> Fault:
    return Fault(kind, f"the sink at {url} is {kind.removeprefix('sink-')} ({means})", {"sink": url, **facts})


def _require_answer(url: str) -> None:
    if not sink.answers(url):
        raise UsageError(f"{url} already does not answer", hint="see `outboxctl chaos undo --dry-run`")
