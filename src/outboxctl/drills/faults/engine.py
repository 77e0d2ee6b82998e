"""The search engine stopped or paused: that of `services up`, or another by a pair of commands.

The ledger holds what a fault needs as JSON, commands too: its file is readable by its owner alone.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.faults import processes, sink
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.services.model import Say
from outboxctl.drills.services.process import find
from outboxctl.net.urls import parse_url
from outboxctl.settings import Settings
from outboxctl.settings.folders import state_folder

STOPPED, PAUSED = "sink-stopped", "sink-paused"


@dataclass(frozen=True)
class SinkControl:
    """How it is stopped and started: that of `services up`, by its state folder, or by a pair of commands.

    Commands are split like a shell does, but no shell runs them.
    """

    state: str = ""
    stop_command: str = ""
    start_command: str = ""

    def stop(self, say: Say) -> None:
        """Stop it: `services up`'s with SIGTERM, its data stays. Raises OutboxctlError."""
        if self.state:
            services.stop("search", Path(self.state), say=say)
        else:
            processes.run("--stop-command", self.stop_command, say)

    def start(self, say: Say) -> None:
        """Start it again, on the same data; by a command it need not answer yet. Raises OutboxctlError."""
        if self.state:
            services.start_search(Path(self.state), say=say)
        else:
            processes.run("--start-command", self.start_command, say)

    @property
    def kind(self) -> str:
        """For people."""
        return "services" if self.state else "command"


def own(url: str) -> SinkControl:
    """The engine of `services up`. UsageError where it is not the sink at this URL."""
    if not any(each.role == "search" and each.port == parse_url(url).port for each in services.status()):
        hint = "say --stop-command and --start-command"
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=hint)
    return SinkControl(str(state_folder()))


def stop(control: SinkControl, url: str, say: Say) -> PlannedFault:
    """The sink stopped. UsageError where it does not answer."""
    _require_answer(url)

    def begin() -> None:
        control.stop(say)
        sink.wait_away(url)

    return PlannedFault(_fault(STOPPED, url, control.kind, **asdict(control)), begin)


def pause(control: SinkControl, url: str) -> PlannedFault:
    """The engine of `services up` paused. UsageError where it does not answer, or is another one."""
    _require_answer(url)
    process = _process(control)

    def begin() -> None:
        processes.pause(process)
        sink.wait_away(url)

    return PlannedFault(_fault(PAUSED, url, control.kind, **processes.identity(process)), begin)


def undo_stop(fault: Fault, _: Settings, say: Say) -> None:
    """A sink that answers may be about to stop; one that goes on answering may refuse a second start."""
    url, *how = (fault.facts[name] for name in ("sink", "state", "stop_command", "start_command"))
    stays, control = sink.answers(url) and not sink.goes_away(url), SinkControl(*how)
    try:
        control.start(say)
    except OutboxctlError:
        if not stays:
            raise
    sink.wait_back(url)


def _process(control: SinkControl) -> psutil.Process:
    if not control.state:
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
