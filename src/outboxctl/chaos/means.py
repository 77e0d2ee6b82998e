"""The ways to stop and start a sink: one class each, all made from words of a command line.

What a fault needs of them is written into the ledger as JSON, commands of the user's too: the file is
readable by its owner alone.
"""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

import psutil

from outboxctl import services
from outboxctl.chaos import processes
from outboxctl.errors import OutboxctlError, UsageError
from outboxctl.services.model import Say, silent

PATIENCE_SECONDS = 120.0  # for a command of somebody else's


class Means(Protocol):
    """A way to stop and start the sink, its process known or not."""

    name: ClassVar[str]

    def stop(self, say: Say) -> None:
        """Stop it. Raises OutboxctlError."""

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Start it again; it need not answer yet. Raises OutboxctlError, if it takes longer, too."""

    def pid(self) -> int | None:
        """Its process, or that of which it is a descendant; None where that cannot be known from here."""


@dataclass(frozen=True)
class OwnServices:
    """The engine that `outboxctl services up` started, by its state folder."""

    name: ClassVar[str] = "services"
    state: str

    def stop(self, say: Say) -> None:
        """End it politely; its data stays."""
        services.stop("search", Path(self.state), say=say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:  # noqa: ARG002 - it knows better
        """Start it on the same port and data, and wait until it answers."""
        services.start_search(Path(self.state), say=say)

    def pid(self) -> int | None:
        """None for a container."""
        known = (each for each in services.status(Path(self.state)) if each.role == "search")
        return next((each.pid for each in known if each.running), None)


@dataclass(frozen=True)
class PidFile:
    """A process that wrote its pid into a file; only with a command it can be started again."""

    name: ClassVar[str] = "pid-file"
    pid_file: str
    start_command: str | None = None

    def stop(self, say: Say) -> None:
        """SIGTERM, and wait until it is gone; one that does not go is left alone."""
        pid = self.pid()
        say(f"ending process {pid}")
        processes.terminate(psutil.Process(pid))

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Run the command: it must put the server into the background."""
        _run(_words("--start-command", self.start_command), say, within)

    def pid(self) -> int:
        """The pid in the file. UsageError where there is none of a process that lives."""
        hint = "it holds nothing but the number of the server's process"
        try:
            pid = int(Path(self.pid_file).read_text()[:20])
        except OSError as error:
            raise UsageError(f"--pid-file: it cannot be read: {error.strerror}", hint=hint) from None
        except ValueError:  # what else it holds may be a secret
            raise UsageError("--pid-file: it is no pid file", hint=hint) from None
        if not 1 < pid < 2**31 or not psutil.pid_exists(pid):
            raise UsageError("--pid-file: no process has the number in it", hint="does it run?")
        return pid


@dataclass(frozen=True)
class Compose:
    """A service of a Compose project. Tried with a stand-in for Docker alone: no machine here has one."""

    name: ClassVar[str] = "compose"
    compose_file: str
    service: str

    def stop(self, say: Say) -> None:
        """`docker compose stop`."""
        self.run("stop", say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """`docker compose start`."""
        self.run("start", say, within)

    def pid(self) -> None:
        """It lives in a container."""

    def run(self, verb: str, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Any other verb."""
        _run(["docker", "compose", "-f", self.compose_file, verb, self.service], say, within)


@dataclass(frozen=True)
class Systemd:
    """A unit of systemd."""

    name: ClassVar[str] = "systemd"
    unit: str

    def stop(self, say: Say) -> None:
        """`systemctl stop`."""
        _run(["systemctl", "stop", "--", self.unit], say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """`systemctl start`."""
        _run(["systemctl", "start", "--", self.unit], say, within)

    def pid(self) -> int | None:
        """The unit's main process."""
        said = _run(["systemctl", "show", "--property=MainPID", "--value", "--", self.unit]).strip()
        return int(said) if said.isdecimal() and said != "0" else None


@dataclass(frozen=True)
class Commands:
    """A pair of commands of the user's; they are split like a shell does, but no shell runs them."""

    name: ClassVar[str] = "command"
    stop_command: str
    start_command: str

    def stop(self, say: Say) -> None:
        """Run the one."""
        _run(_words("--stop-command", self.stop_command), say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Run the other."""
        _run(_words("--start-command", self.start_command), say, within)

    def pid(self) -> None:
        """Nobody knows."""


KNOWN: dict[str, type[Any]] = {each.name: each for each in (OwnServices, PidFile, Compose, Systemd, Commands)}


def facts(means: Means) -> dict[str, Any]:
    """What the ledger keeps of it; `from_facts` is the way back."""
    return {"means": means.name, "with": asdict(means)}  # type: ignore[call-overload]


def from_facts(kept: dict[str, Any]) -> Means:
    """The means that `facts` was made of."""
    made: Means = KNOWN[kept["means"]](**kept["with"])
    return made


def listener(means: Means, port: int) -> psutil.Process | None:
    """The process that listens there, proved to be the means' own; None where it cannot be known.

    UsageError where the process is known and neither it nor a descendant listens there.
    """
    pid = means.pid()
    if pid is None:
        return None
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            if _listens(each, port):
                return each
    raise UsageError(
        f"{means.name}: process {pid} does not listen on port {port}, where ELASTIC_URL is",
        hint="set ELASTIC_URL to what you want to stop, or run this as the server's user",
    )


def _listens(found: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found.net_connections())
    return False


def _words(flag: str, command: str | None) -> list[str]:
    try:
        words = shlex.split(command or "")
    except ValueError as error:
        raise UsageError(f"{flag} cannot be read: {error}", hint="close its quotes") from None
    if not words:
        raise UsageError(f"{flag} is needed for that")
    return words


def _run(command: list[str], say: Say = silent, within: float = PATIENCE_SECONDS) -> str:
    """Run a command that must end well; returns what it printed. Raises OutboxctlError.

    Its output goes to a file: a server that it leaves in the background would hold a pipe open.
    """
    say(f"running {command[0]}")
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        code = _ended(command, out, within)
        out.seek(0)
        said = out.read()
    if code:
        raise OutboxctlError(f"{command[0]} ended with {code}: {said.strip()[-300:]}")
    return said


def _ended(command: list[str], out: IO[str], within: float) -> int:
    """Its exit code. One that takes too long is killed alone, for a server may be its child.

    If we are interrupted, it goes with its children, so that none does later what we undo now.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        _kill(process, os.kill)
        raise OutboxctlError(f"{command[0]} did not end within {within:g} s") from None
    except BaseException:
        _kill(process, os.killpg)
        raise


def _kill(process: "subprocess.Popen[bytes]", kill: Callable[[int, int], None]) -> None:
    """It was not waited for, so its number is its own yet. One of another user's (`sudo`) lives on."""
    with suppress(PermissionError, subprocess.TimeoutExpired):
        kill(process.pid, signal.SIGKILL)
        process.wait(1)
