"""A real worker process, to be killed, paused and started again."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.services import Reserved, reserve_port, sockets
from outboxctl.settings import env_names

RECLAIMED = re.compile(r"Reclaimed (\d+) stuck outbox events")
COMMAND = (sys.executable, "-m", "outboxctl", "worker")
UNREADY = 503
UNCATCHABLE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}
RUN = "OUTBOXCTL_RUN"  # in the environment of a worker and its children: the folder that they end with
STOP_SECONDS = 30.0
ANSWER_SECONDS = 5.0


class WorkerProcess:
    """One worker at a time, working in `folder`; each one that is started logs into the same file.

    `command` is any program that takes its settings from the environment and serves /metrics and
    /readyz there, as `outboxctl worker` does.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        log: Path | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.log = log or folder / "worker.log"
        self.port = 0
        self._environment, self._folder, self._command = dict(environment), folder, list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._reserved: Reserved | None = None  # its port, while it runs
        self._ended_by_us = False
        self._deaths: list[int] = []

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        """Whether SIGSTOP has reached it."""
        return self.running and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """Its exit code, None while it lives; the negative number of a signal that ended it."""
        return self._process.poll() if self._process else None

    @property
    def deaths(self) -> list[int]:
        """The exit codes of those that ended with an error, and not by `kill` or `stop`: 0 is no error."""
        code = self.code
        return [*self._deaths, *([code] if code and not self._ended_by_us else [])]

    def start(self) -> None:
        """Start one in a session of its own, which a ^C here does not reach. UsageError if it cannot."""
        self._deaths, self._ended_by_us = self.deaths, False
        self._release()
        self._reserved = reserve_port()
        self.port = self._reserved.port
        own = self._environment | {env_names("metrics_port")[0]: str(self.port), RUN: str(self._folder)}
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env=own,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise UsageError(f"cannot start the worker {self._command[0]}: {error.strerror}") from None

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory is short."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM; returns its exit code."""
        return self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that cannot be caught to its children too, for a command may be a wrapper."""
        if self.running:
            send = os.killpg if number in UNCATCHABLE else os.kill
            send(self.pid, number)

    def must_live(self) -> None:
        """Raise OutboxctlError if it has ended by itself."""
        if not self.running:
            raise OutboxctlError(f"the worker ended by itself with {self.code}", hint=f"its log: {self.log}")

    def reclaimed(self) -> int:
        """How many events all of them have logged as reclaimed."""
        return sum(map(int, RECLAIMED.findall(self.log_text())))

    def log_text(self) -> str:
        """Everything that all of them logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its HTTP server; (0, "") where it does not answer."""
        return sockets.get(f"http://127.0.0.1:{self.port}{path}", seconds=ANSWER_SECONDS)

    def failing(self) -> dict[str, str]:
        """What /readyz names as failing; nothing where it answers 200, or not at all."""
        status, body = self.get("/readyz")
        return dict(json.loads(body)["failing"]) if status == UNREADY else {}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of a metric that carry these labels; 0 where it does not answer."""
        wanted = [f'{label}="{text}"' for label, text in labels.items()]
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines())
        return sum(
            float(value)
            for series, _, value in lines
            if series.partition("{")[0] == name and all(label in series for label in wanted)
        )

    def _release(self) -> None:
        if self._reserved:
            self._reserved.close()

    def _end(self, number: signal.Signals) -> int:
        if (process := self._process) is None:
            return 0
        self._ended_by_us = self._ended_by_us or self.running
        try:
            self.send(number)
            if number is not signal.SIGKILL:
                self.send(signal.SIGCONT)  # one that is paused handles no signal
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session: its children go with it
            return process.wait()
        finally:
            self._release()
