"""A server that leaves its pid in a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults import processes
from outboxctl.drills.faults.sink_controls import command
from outboxctl.drills.faults.sink_controls.model import PATIENCE_SECONDS
from outboxctl.drills.services.model import Say


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
        command.run(command.words("--start-command", self.start_command), say, within)

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
