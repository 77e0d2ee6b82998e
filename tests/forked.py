"""Real processes of `outboxctl` at a fifth of the computing time, by `fork_server.py`."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TextIO

import fork_server
from fork_server import NUMBER

# Python looks at these when it starts; a fork would not look again.
LOOKED_AT = ("COVERAGE", "LANG", "LC_", "PYTHON", "TZ")


@dataclass
class Forked:
    """Such a process; used as a `subprocess.Popen` is."""

    args: Sequence[str]
    pid: int
    ending: int  # the pipe that tells the exit code
    outputs: Sequence[TextIO] = ()  # what it writes to pipes: standard output and error
    returncode: int | None = field(default=None)

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has one. TimeoutExpired after so many seconds."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired([*self.args], timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """To this very process, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it put out, once nobody is left who could write more; killed if it takes too long."""
        with ThreadPoolExecutor(2) as pool:
            out, err = [pool.submit(_read, stream) for stream in self.outputs]
            try:
                self.wait(timeout)
            finally:
                self.kill()
            return out.result(), err.result()

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self.ending], [], [], timeout)[0]:
            (self.returncode,) = NUMBER.unpack(os.read(self.ending, NUMBER.size))
            os.close(self.ending)
        return self.returncode


@dataclass(frozen=True)
class Source:
    """The process that forks."""

    link: socket.socket
    environment: Mapping[str, str]
    lock: Lock = field(default_factory=Lock)

    def fits(self, env: Mapping[str, str]) -> bool:
        """Whether a fork of it is like a process that starts with this environment."""
        return _looked_at(env) == _looked_at(self.environment)

    def pipes(self, args: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: int) -> Forked:
        """Run `outboxctl` with these arguments, its output to be read with `communicate`."""
        (out, say), (err, warn) = os.pipe(), os.pipe()
        process = self.fork(args, env, cwd, (stdin, say, warn))
        os.close(say)
        os.close(warn)
        process.outputs = [os.fdopen(out), os.fdopen(err)]
        return process

    def fork(self, args: Sequence[str], env: Mapping[str, str], cwd: Path, standard: Sequence[int]) -> Forked:
        """Run `outboxctl` with these arguments on these: standard input, output and error."""
        told, tell = os.pipe()
        request = json.dumps({"args": [*args], "env": {**env}, "cwd": str(cwd)}).encode()
        with self.lock:
            socket.send_fds(self.link, [NUMBER.pack(len(request))], [*standard, tell])
            self.link.sendall(request)
        os.close(tell)
        (pid,) = NUMBER.unpack(os.read(told, NUMBER.size))
        return Forked(args, pid, told)


def source(environment: Mapping[str, str]) -> Source:
    """Start one; it ends with us."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, fork_server.__file__, str(theirs.fileno())],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return Source(ours, environment)


def _read(stream: TextIO) -> str:
    with stream:
        return stream.read()


def _looked_at(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name.startswith(LOOKED_AT)}
