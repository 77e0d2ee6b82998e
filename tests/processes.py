"""Real `outboxctl` processes: run to their end, or started and stopped like a daemon."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import Any

import broken_once
import forked
from forked import Forked
from invariants import unexpected_errors

Process = subprocess.Popen[str] | Forked
OUTBOXCTL = [sys.executable, "-m", "outboxctl"]
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "OUTBOXCTL_CACHE",
    "COVERAGE_PROCESS_START",
    "PYTHONPATH",
    "JDK_JAVA_OPTIONS",
)


def environment(**extra: str) -> dict[str, str]:
    """A clean environment: what the machine needs and `extra`, none of the developer's settings."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | extra


@cache
def _source() -> forked.Source:
    return forked.source(environment())


def start(args: Sequence[str], env: Mapping[str, str], cwd: Path, standard: Sequence[int]) -> Process:
    """Start `outboxctl` in a session of its own, on three files: standard input, output and error."""
    if _source().fits(env):
        return _source().fork(args, env, cwd, standard)
    return start_program([*OUTBOXCTL, *args], env, cwd, standard)


def start_program(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, standard: Sequence[int]
) -> Process:
    """The same for any program."""
    given, out, err = standard
    return subprocess.Popen(
        command, env=env, cwd=cwd, stdin=given, stdout=out, stderr=err, text=True, start_new_session=True
    )


def piped(args: Sequence[str], env: Mapping[str, str], cwd: Path, given: str = "") -> Process:
    """Start `outboxctl` with this to read; what it puts out is for `communicate`."""
    with TemporaryFile("w+") as stdin:
        stdin.write(given)
        stdin.seek(0)
        if _source().fits(env):
            return _source().pipes(args, env, cwd, stdin.fileno())
        command, pipe = [*OUTBOXCTL, *args], subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd=cwd, stdin=stdin, stdout=pipe, stderr=pipe, text=True)


@dataclass
class Cli:
    """Runs commands with one environment in one folder; a traceback on stderr fails the test."""

    env: dict[str, str]
    cwd: Path

    def __call__(
        self, *args: str, timeout: float = 120, env: dict[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        process = piped(args, self.env | (env or {}), self.cwd, stdin)
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
        done = subprocess.CompletedProcess(args, process.wait(), out, err)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *args: str, **more: Any) -> str:
        """Standard output of a command that must exit 0."""
        done = self(*args, **more)
        assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args: str, **more: Any) -> Any:
        """The parsed output of a command with `--json`."""
        return json.loads(self.ok(*args, "--json", **more))


LOGS: set[Path] = set()  # of the workers of this test


def check_logs() -> None:
    """No worker of this test has met an error that no rule expects."""
    errors = [error for log in LOGS if log.exists() for error in unexpected_errors(log.read_text())]
    LOGS.clear()
    assert not errors, "\n".join(errors)


@dataclass
class Worker:
    """A running `outboxctl worker`."""

    process: Process
    port: int
    log: Path
    stopped: bool = field(default=False)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of the worker's HTTP server; (0, "") where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of a metric that carry these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            wanted = all(f'{label}="{text}"' in series for label, text in labels.items())
            if series.partition("{")[0] == name and wanted:
                total += float(value)
        return total

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to this very process."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code."""
        return self.process.wait(timeout)

    def end(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def start_worker(env: dict[str, str], cwd: Path, port: int, *args: str) -> Worker:
    """Start a worker; its log goes to a file, so that no pipe can fill up."""
    log = cwd / f"worker-{port}.log"
    arguments = ["worker", "--metrics-port", str(port), *args]
    LOGS.add(log)
    with log.open("a") as out, Path(os.devnull).open() as nothing:
        process = start(arguments, env, cwd, (nothing.fileno(), out.fileno(), out.fileno()))
    return Worker(process, port, log)


def start_broken_worker(env: dict[str, str], cwd: Path, port: int, target: str) -> Worker:
    """Start a worker of which one method raises at its first call: its log is not among LOGS."""
    log = cwd / f"broken-{port}.log"
    command = [sys.executable, str(broken_once.PROGRAM), target, "worker", "--metrics-port", str(port)]
    with log.open("w") as out, Path(os.devnull).open() as nothing:
        process = start_program(command, env, cwd, (nothing.fileno(), out.fileno(), out.fileno()))
    return Worker(process, port, log)


def eventually(check: Callable[[], Any], *, within: float = 60, what: str = "") -> Any:
    """The first true value of `check`, looked at again and again; fails after `within` seconds."""
    end = monotonic() + within
    while True:
        value = check()
        if value:
            return value
        assert monotonic() < end, f"not within {within} s: {what or check}"
        sleep(0.02)
