"""A person's terminals on a machine that has nothing: the lab document's lines are typed in as they are."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from acceptance import lab
from outboxctl.settings.folders import cache_folder
from processes import Worker, environment

# What docs/migrate/from-the-lab-scripts.md says to type in place of the document's scripts.
PROGRAMS = {
    "python backend/scripts/search_outbox_worker.py": "exec outboxctl worker",
    "python3 scripts/load_generate_blocks.py": "exec outboxctl inject load",
    "python backend/scripts/search_outbox_replay_failed.py": "exec outboxctl replay",
}
METRICS_PORT = 9109


@dataclass
class Machine:
    """An empty home and folder. `moved`: what the document writes, and what it is where a port is taken."""

    folder: Path
    env: dict[str, str]
    moved: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def typed(self, text: str) -> str:
        """A block of the document as it can be typed here: other programs, no `cd`, a port that is free."""
        for written, meant in (PROGRAMS | self.moved).items():
            text = text.replace(written, meant)
        return "\n".join(line for line in text.splitlines() if not line.startswith("cd "))

    def run(self, *lines: str, timeout: float = 90) -> str:
        """Standard output of these lines in a new bash; they must succeed, without a traceback."""
        done = subprocess.run(
            self._bash(lines), env=self.env, cwd=self.folder, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def start(self, log: Path, *lines: str) -> subprocess.Popen[str]:
        """A program that goes on running in a terminal of its own; what it prints is in `log`."""
        with log.open("w") as out:
            self.running.append(
                subprocess.Popen(
                    self._bash(lines), env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=subprocess.STDOUT, text=True, start_new_session=True,
                )
            )  # fmt: skip
        return self.running[-1]

    @property
    def exports(self) -> list[str]:
        """Section 1.4 without its last line, which starts the worker."""
        return self.typed(lab.blocks("1.4")[0]).splitlines()[:-1]

    def worker(self, *settings: str, then: str = "") -> Worker:
        """Section 1.4 after these `export` lines, in a new shell; `then` comes before its last line."""
        log = self.folder / f"worker-{len(self.running)}.log"
        port = int(self.moved.get(str(METRICS_PORT), METRICS_PORT))
        process = self.start(log, *settings, *self.exports, then, "exec outboxctl worker")
        return Worker(process, port, log)

    def load(self) -> subprocess.Popen[str]:
        """Section 3, going on in a terminal of its own."""
        return self.start(self.folder / "load.log", self.typed(lab.blocks("3")[0]))

    def end(self) -> None:
        """Leave nothing behind."""
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def _bash(self, lines: tuple[str, ...]) -> list[str]:
        return ["bash", "-c", "\n".join(["set -eu", *lines])]


@contextmanager
def empty_machine(folder: Path) -> Iterator[Machine]:
    """A machine without services, state or settings; only what was downloaded before is kept."""
    home, here = folder / "home", folder / "here"
    home.mkdir()
    here.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    machine = Machine(here, environment(HOME=str(home), PATH=path, OUTBOXCTL_CACHE=str(cache_folder())))
    try:
        yield machine
    finally:
        machine.end()
        machine.run("outboxctl services down --purge")


def moved_ports(printed: str) -> dict[str, str]:
    """The document's ports that something else has here, and those in their place.

    `printed` is what `services up` says on standard output.
    """
    lines = [line.removeprefix("export ") for line in printed.splitlines() if line.startswith("export ")]
    exported = dict(line.replace("'", "").split("=", 1) for line in lines)
    metrics = next(port for port in range(METRICS_PORT, 2 * METRICS_PORT) if _free(port))
    here = {
        "5435": urlsplit(exported["DATABASE_URL"]).port,
        "9200": urlsplit(exported["ELASTIC_URL"]).port,
        str(METRICS_PORT): metrics,
    }
    return {written: str(port) for written, port in here.items() if str(port) != written}


def _free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
