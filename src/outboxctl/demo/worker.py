"""A real `outboxctl worker` process, to be killed and started again."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from outboxctl.errors import OutboxctlError
from outboxctl.services import fresh_port

RECLAIMED = re.compile(r"Reclaimed (\d+) stuck outbox events")
STOP_SECONDS = 30.0


class WorkerProcess:
    """One worker at a time, in a folder of its own; all of them log into one file."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.log = folder / "worker.log"
        self._environment, self._folder = environment, folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start one in a session of its own: a ^C at our terminal is ours to handle, not its."""
        command = [sys.executable, "-m", "outboxctl", "worker", "--metrics-port", str(fresh_port())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory is short: no word, no release."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM; returns its exit code."""
        return self._end(signal.SIGTERM)

    def must_live(self) -> None:
        """Raise OutboxctlError if it has ended by itself."""
        if not self.running:
            code = self._process.returncode if self._process else None
            raise OutboxctlError(f"the worker ended by itself with {code}", hint=f"its log: {self.log}")

    def reclaimed(self) -> int:
        """How many events all of them said that they reclaimed."""
        return sum(map(int, RECLAIMED.findall(self.log.read_text(errors="replace"))))

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)  # does nothing once it has ended
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
