"""The engine stopped or paused: that of `services up`, or another by commands, which the ledger holds."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import psutil

from outboxctl.domain.errors import InconclusiveError, OutboxctlError, UnreachableError, UsageError
from outboxctl.drills import services
from outboxctl.drills.faults import processes
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.services import sockets
from outboxctl.drills.services.model import Say, silent
from outboxctl.drills.services.process import within
from outboxctl.net.urls import mask, parse_url, without_credentials
from outboxctl.settings import Settings
from outboxctl.settings.folders import state_folder

ANSWER_SECONDS = 1.0
AWAY_SECONDS, BACK_SECONDS = 30.0, 90.0
COMMAND_SECONDS = 120.0  # for a command of the user's
ENDING_SECONDS = 5.0  # for a process that may be ending
STOPPED, PAUSED = "sink-stopped", "sink-paused"


@dataclass(frozen=True)
class SinkControl:
    """A way to stop and start the sink: the state folder of `services up`, or commands without a shell."""

    state: str = ""
    stop_command: str = ""
    start_command: str = ""

    def stop(self, say: Say) -> None:
        """Stop it: `services up`'s with SIGTERM, its data stays. Raises OutboxctlError."""
        if self.state:
            services.stop("search", Path(self.state), say=say)
        else:
            run_command("--stop-command", self.stop_command, say)

    def start(self, say: Say) -> None:
        """Start it again, on the same data; by a command it need not answer yet. Raises OutboxctlError."""
        if self.state:
            services.start_search(Path(self.state), say=say)
        else:
            run_command("--start-command", self.start_command, say)


def sink_url(settings: Settings) -> str:
    """The sink's URL, without credentials. UsageError where there are several."""
    if len(settings.sink_urls) > 1:
        shown = ", ".join(map(mask, settings.sink_urls))
        raise UsageError(f"which of them: {shown}?", hint="name one: `outboxctl --elastic-url URL …`")
    return without_credentials(settings.sink_urls[0])


def answers(url: str) -> bool:
    """Whether it answers with anything below 500; a refusal for want of credentials is an answer."""
    return 0 < sockets.get(url, seconds=ANSWER_SECONDS)[0] < HTTPStatus.INTERNAL_SERVER_ERROR


def _goes_away(url: str, seconds: float = ENDING_SECONDS) -> bool:
    """Whether it stops answering within so many seconds."""
    return within(seconds, lambda: not answers(url))


def wait_back(url: str) -> None:
    """Wait until it answers. UnreachableError if it does not."""
    if not within(BACK_SECONDS, lambda: answers(url)):
        raise UnreachableError(f"{url} does not answer after {BACK_SECONDS:g} s", hint="look at its log")


def own(url: str) -> SinkControl:
    """The engine of `services up`. UsageError where it is not the sink at this URL."""
    if not any(each.role == "search" and each.port == parse_url(url).port for each in services.status()):
        hint = "say --stop-command and --start-command"
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=hint)
    return SinkControl(str(state_folder()))


def stop(control: SinkControl, url: str, say: Say) -> PlannedFault:
    """The sink stopped. UsageError where it does not answer."""
    return _planned(STOPPED, url, control, asdict(control), lambda: control.stop(say))


def pause(control: SinkControl, url: str) -> PlannedFault:
    """The engine of `services up` paused. UsageError where it does not answer, or is another one."""
    process = _process(control)
    return _planned(PAUSED, url, control, processes.identity(process), lambda: processes.pause(process))


def _planned(
    kind: str, url: str, control: SinkControl, facts: dict[str, Any], begin: Callable[[], None]
) -> PlannedFault:
    if not answers(url):
        raise UsageError(f"{url} already does not answer", hint="see `outboxctl chaos undo --dry-run`")
    means = "services" if control.state else "command"
    what = f"the sink at {url} is {kind.removeprefix('sink-')} ({means})"

    def away() -> None:
        begin()
        if not _goes_away(url, AWAY_SECONDS):
            hint = "what was stopped is not what ELASTIC_URL names, or it was started again"
            raise InconclusiveError(f"{url} still answers after {AWAY_SECONDS:g} s", hint=hint)

    return PlannedFault(Fault(kind, what, {"sink": url, **facts}), away)


def undo_stop(fault: Fault, _: Settings, say: Say) -> None:
    """A sink that answers may be about to stop; one that goes on answering may refuse a second start."""
    url, *how = (fault.facts[name] for name in ("sink", "state", "stop_command", "start_command"))
    stays, control = answers(url) and not _goes_away(url), SinkControl(*how)
    try:
        control.start(say)
    except OutboxctlError:
        if not stays:
            raise
    wait_back(url)


def _process(control: SinkControl) -> psutil.Process:
    if not control.state:
        raise UsageError("only the search engine of `services up` can be paused")
    for each in services.status(Path(control.state)):
        if each.role == "search" and (running := each.process):
            return running
    raise UsageError("the search engine of `services up` does not run")


def run_command(option: str, command: str, say: Say = silent) -> None:
    """Run a command of the user's, which must exit with 0; output goes to a file: it may leave a server."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{option} cannot be read: {error}", hint="close its quotes") from None
    if not words:
        raise UsageError(f"{option} is empty")
    say(f"running {words[0]}")
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        code = _exit_code(words, out)
        out.seek(0)
        output = out.read().strip()
    if code:
        why = f": {output[-300:]}" if output else ", without output"
        raise OutboxctlError(f"{words[0]} ended with {code}{why}")


def _exit_code(command: list[str], out: IO[str]) -> int:
    """A command that takes too long is killed alone, for a server may be its child.

    On an interruption its children are killed too, so that none does later what is undone now. Its pid
    cannot have been reused before wait(). A process of another user's (`sudo`) is not killed.
    """
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        return child.wait(COMMAND_SECONDS)
    except BaseException as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):  # it may have ended
            (os.kill if late else os.killpg)(child.pid, signal.SIGKILL)
            child.wait(1)
        if late:
            raise OutboxctlError(f"{command[0]} did not end within {COMMAND_SECONDS:g} s") from None
        raise
