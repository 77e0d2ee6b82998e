"""A server that ends with this process, however that ends: what a cluster's nodes are."""

import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from outboxctl.drills.services import place, process

# A shell starts the server, says its pid, and waits for the end of its own input: the other end of that pipe
# is this process's, and the kernel closes it with this process. SIGKILL also ends a server that is stopped.
GUARD = '"$@" </dev/null >&2 & echo $!; read -r _; kill -9 $! 2>&-'
END_SECONDS = 20.0


class GuardedServer:
    """A command in a session of its own, as the user of the servers; its output is appended to a log."""

    def __init__(self, command: Sequence[str], *, cwd: Path, log: Path) -> None:
        with log.open("ab") as out:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                cwd=cwd,
                env=place.environment(),
                start_new_session=True,
                **place.account(),
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline())
        self._born = psutil.Process(self.pid).create_time()

    @property
    def runs(self) -> bool:
        """Whether it has not ended; a frozen one has not."""
        return process.find(self.pid, self._born) is not None

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by a signal."""
        server = process.find(self.pid, self._born)
        with suppress(psutil.NoSuchProcess):
            return server is not None and server.status() == psutil.STATUS_STOPPED
        return False

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it runs."""
        if server := process.find(self.pid, self._born):
            with suppress(psutil.NoSuchProcess):
                server.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """End it by this signal, after 20 s by SIGKILL, also when it is frozen. Returns once it has ended."""
        server = process.find(self.pid, self._born)
        if server:
            self.send(number)
            self.send(signal.SIGCONT)
            process.end(server, number, patience=END_SECONDS)
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe:
                pipe.close()
        self._guard.wait(END_SECONDS)
