"""A run of its own, the demo's or the labs': a folder, settings and worker processes that leave nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.services import Reserved, process, reserve_port, sockets
from outboxctl.drills.services.model import Say, silent
from outboxctl.drills.signals import SignalReceived, handling, raising
from outboxctl.settings import Settings, all_names, env_names
from outboxctl.settings.loading import unknown_names

LOCK = "run.lock"
PATIENCE_SECONDS = 5.0
RECLAIMED = re.compile(r"Reclaimed (\d+) stuck outbox events")
COMMAND = (sys.executable, "-m", "outboxctl", "worker")
UNREADY = 503
UNCATCHABLE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}
RUN = "OUTBOXCTL_RUN"  # in the environment of a worker and its children: the folder that they end with
STOP_SECONDS = 30.0
ANSWER_SECONDS = 5.0


@dataclass
class ScratchFolder:
    """The folder of services, worker and log; `signals`: the number of the one that came."""

    path: Path
    succeeded: bool = False
    signals: list[int] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """The worker's log; it outlives the folder's other contents where the run failed."""
        return self.path / "worker-w1.log"


@contextmanager
def own_folder(kind: str, say: Say = silent) -> Iterator[ScratchFolder]:
    """Make a folder for a run of this kind (`demo`): under `OUTBOXCTL_STATE`, else among temporary files.

    At the end of the block, by a signal or a closed terminal too, all that runs in the folder is ended.
    SignalReceived as of `raising`. UsageError where no folder can be made.
    """
    folder = _new_folder(kind)
    part = folder.path / f"{LOCK}.part"  # renamed once it is locked, so that no sweep finds it free
    with FileLock(part), raising() as folder.signals:
        part.rename(folder.path / LOCK)
        try:
            sweep(kind, say)
            yield folder
        except BaseException as error:
            broken = isinstance(error, Exception)
            folder.succeeded = not broken or bool(folder.signals)
            if broken and folder.signals:  # by the signal
                raise SignalReceived(folder.signals[0]) from None
            raise
        finally:
            with handling(signal.SIG_IGN):
                _finish(folder, say)


def _parent() -> Path:
    return Path(os.environ.get("OUTBOXCTL_STATE") or tempfile.gettempdir()).resolve()


def _new_folder(kind: str) -> ScratchFolder:
    parent = _parent()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"outboxctl-{kind}-", dir=parent))
    except OSError as error:
        raise UsageError(f"cannot write to {parent}: {error.strerror}", hint="see OUTBOXCTL_STATE") from None
    path.chmod(0o711)  # root's PostgreSQL runs as another user, who must pass through
    return ScratchFolder(path)


def _finish(folder: ScratchFolder, say: Say) -> None:
    """End workers and services of the folder, and delete it; the log of a run that failed stays."""
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            # Workers and their children, but not a user's shell in the folder.
            if each.pid != os.getpid() and each.environ().get(RUN) == str(folder.path):
                # At once: its data is deleted, and a paused process handles no other signal.
                process.end(each, signal.SIGKILL, patience=PATIENCE_SECONDS)
    services.down(folder.path, purge=True, say=say)
    if folder.log.exists() and not folder.succeeded:
        (folder.path / LOCK).unlink()  # no sweep removes it
    else:
        shutil.rmtree(folder.path, ignore_errors=True)


def sweep(kind: str, say: Say = silent) -> None:
    """Clean up after runs of this kind that were killed: the kernel has released their locks."""
    for lock in _parent().glob(f"outboxctl-{kind}-*/{LOCK}"):
        folder = lock.parent
        with suppress(OSError):
            # In a folder of another user's the lock may be a link to a file of this one.
            if folder.lstat().st_uid != os.geteuid():
                continue
            with FileLock(lock, blocking=False):
                say(f"clearing up after a run that was ended: {folder.name}")
                try:
                    _finish(ScratchFolder(folder, succeeded=True), say)
                except OutboxctlError as error:  # which does not keep this run from starting
                    say(f"cannot clean up {folder}: {error}; {error.hint}")


def fixed(own: dict[str, Any]) -> Settings:
    """Return settings that no environment variable and no `.env` can change. ValidationError."""
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()
    }
    return Settings(**(defaults | own))


def environment(own: dict[str, Any]) -> dict[str, str]:
    """Return our environment for a child process, with these settings in place of the user's."""
    names = all_names() | set(unknown_names(os.environ, ()))
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return inherited | {env_names(field)[0]: str(value) for field, value in own.items()}


@dataclass(frozen=True)
class Namespace:
    """Tables and an index of one lab, and its settings.

    `ends` are DATABASE_URL, ELASTIC_URL (the sink itself, without a proxy), ELASTIC_INDEX and credentials.
    `home` is the working folder of its workers. `shown` are the settings that are not the defaults, without
    `ends`: these may hold secrets. `overrides` replace whatever a lab sets.
    """

    ends: Mapping[str, str]
    shown: Mapping[str, str]
    overrides: Mapping[str, str]
    home: Path

    @cached_property
    def settings(self) -> Settings:
        """Return the settings of the lab itself."""
        return fixed(by_field({**self.shown, **self.ends}))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a worker of this lab."""
        return {**environment({}), **self.shown, **self.ends, **more, **self.overrides}


def by_field(values: Mapping[str, str]) -> dict[str, str]:
    """Return settings by field name, from environment variables; other variables are left out."""
    fields = {name: field for field in Settings.model_fields for name in env_names(field)}
    return {fields[name]: value for name, value in values.items() if name in fields}


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
        """Return how many events all of them have logged as reclaimed."""
        return sum(map(int, RECLAIMED.findall(self.log_text())))

    def log_text(self) -> str:
        """Return everything that all of them logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its HTTP server; (0, "") where it does not answer."""
        return sockets.get(f"http://127.0.0.1:{self.port}{path}", seconds=ANSWER_SECONDS)

    def failing(self) -> dict[str, str]:
        """Return what /readyz names as failing; nothing if it answers 200, or not at all."""
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
