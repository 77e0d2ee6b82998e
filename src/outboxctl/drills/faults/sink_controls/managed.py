"""A server in the care of a program that is asked: Compose, systemd, or commands of the user's."""

from dataclasses import dataclass
from typing import ClassVar

from outboxctl.drills.faults.sink_controls import command
from outboxctl.drills.faults.sink_controls.model import PATIENCE_SECONDS
from outboxctl.drills.services.model import Say


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
        command.run(["docker", "compose", "-f", self.compose_file, verb, self.service], say, within)


@dataclass(frozen=True)
class Systemd:
    """A unit of systemd."""

    name: ClassVar[str] = "systemd"
    unit: str

    def stop(self, say: Say) -> None:
        """`systemctl stop`."""
        command.run(["systemctl", "stop", "--", self.unit], say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """`systemctl start`."""
        command.run(["systemctl", "start", "--", self.unit], say, within)

    def pid(self) -> int | None:
        """The unit's main process."""
        said = command.run(["systemctl", "show", "--property=MainPID", "--value", "--", self.unit]).strip()
        return int(said) if said.isdecimal() and said != "0" else None


@dataclass(frozen=True)
class Commands:
    """A pair of commands of the user's; they are split like a shell does, but no shell runs them."""

    name: ClassVar[str] = "command"
    stop_command: str
    start_command: str

    def stop(self, say: Say) -> None:
        """Run the one."""
        command.run(command.words("--stop-command", self.stop_command), say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Run the other."""
        command.run(command.words("--start-command", self.start_command), say, within)

    def pid(self) -> None:
        """Nobody knows."""
