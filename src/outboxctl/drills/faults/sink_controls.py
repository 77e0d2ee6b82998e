"""Ways to stop and start a sink, a class each, made from the options of a command.

The ledger holds what a fault needs of them as JSON, commands of the user's too: its file is readable by
its owner alone.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil

from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from outboxctl.drills.faults import processes
from outboxctl.drills.services.model import Say


@dataclass(frozen=True)
class SinkControl:
    """A way to stop and start the sink by a command for each."""

    name: ClassVar[str]

    def command(self, verb: str) -> list[str]:
        """The command that does `verb` (`stop`, `start`). UsageError where there is none."""
        raise NotImplementedError

    def stop(self, say: Say) -> None:
        """Stop it. Raises OutboxctlError."""
        processes.run(self.command("stop"), say)

    def start(self, say: Say, within: float = processes.COMMAND_SECONDS) -> None:
        """Start it again; it need not answer yet. OutboxctlError where that fails, or takes longer."""
        processes.run(self.command("start"), say, within)

    def pid(self) -> int | None:
        """The pid of its process, or of an ancestor; None where it is unknown, as of a container."""
        return None


@dataclass(frozen=True)
class OwnServices(SinkControl):
    """The engine that `outboxctl services up` started, by its state folder."""

    name: ClassVar[str] = "services"
    state: str

    def stop(self, say: Say) -> None:
        """End it with SIGTERM; its data stays."""
        services.stop("search", Path(self.state), say=say)

    def start(self, say: Say, within: float = processes.COMMAND_SECONDS) -> None:  # noqa: ARG002 - it has a limit of its own
        """Start it on the same port and data, and wait until it answers."""
        services.start_search(Path(self.state), say=say)

    def pid(self) -> int | None:
        """None for a container."""
        known = (each for each in services.status(Path(self.state)) if each.role == "search")
        return next((each.pid for each in known if each.running), None)


@dataclass(frozen=True)
class PidFile(SinkControl):
    """A process that wrote its pid into a file; it can be started again only with a command."""

    name: ClassVar[str] = "pid-file"
    pid_file: str
    start_command: str | None = None

    def stop(self, say: Say) -> None:
        """SIGTERM, and wait until it has ended; one that does not end is left alone."""
        pid = self.pid()
        say(f"ending process {pid}")
        processes.terminate(psutil.Process(pid))

    def command(self, verb: str) -> list[str]:
        """The command must put the server into the background."""
        return processes.split(f"--{verb}-command", self.start_command)

    def pid(self) -> int:
        """The pid in the file. UsageError where it is not that of a running process."""
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
class Compose(SinkControl):
    """A service of a Compose project. Tried with a stand-in for Docker alone: no machine here has one."""

    name: ClassVar[str] = "compose"
    compose_file: str
    service: str

    def command(self, verb: str) -> list[str]:
        """Any verb of `docker compose`."""
        return ["docker", "compose", "-f", self.compose_file, verb, self.service]


@dataclass(frozen=True)
class Systemd(SinkControl):
    """A unit of systemd."""

    name: ClassVar[str] = "systemd"
    unit: str

    def command(self, verb: str) -> list[str]:
        """Any verb of `systemctl`."""
        return ["systemctl", verb, "--", self.unit]

    def pid(self) -> int | None:
        """The unit's main process."""
        pid = processes.run(["systemctl", "show", "--property=MainPID", "--value", "--", self.unit]).strip()
        return int(pid) if pid.isdecimal() and pid != "0" else None


@dataclass(frozen=True)
class Commands(SinkControl):
    """A pair of commands of the user's; they are split like a shell does, but no shell runs them."""

    name: ClassVar[str] = "command"
    stop_command: str
    start_command: str

    def command(self, verb: str) -> list[str]:
        """The one or the other."""
        return processes.split(
            f"--{verb}-command", self.stop_command if verb == "stop" else self.start_command
        )


KNOWN: dict[str, type[Any]] = {each.name: each for each in (OwnServices, PidFile, Compose, Systemd, Commands)}


def facts(control: SinkControl) -> dict[str, Any]:
    """What the ledger holds of it, for `from_facts`."""
    return {"means": control.name, "with": asdict(control)}


def from_facts(kept: dict[str, Any]) -> SinkControl:
    """The control that `facts` was made of."""
    control: SinkControl = KNOWN[kept["means"]](**kept["with"])
    return control


def listener(control: SinkControl, port: int) -> psutil.Process | None:
    """The process of this control that listens on a port; None where its pid is unknown.

    UsageError where neither that process nor a descendant listens there.
    """
    pid = control.pid()
    if pid is None:
        return None
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            if _listens(each, port):
                return each
    raise UsageError(
        f"{control.name}: process {pid} does not listen on port {port}, where ELASTIC_URL is",
        hint="set ELASTIC_URL to what you want to stop, or run this as the server's user",
    )


def _listens(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections())
    return False
