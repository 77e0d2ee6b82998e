"""Runs named tests against a copy of the checkout: its own, or one that a mutant has changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mutants.catalogue import CHECKOUT, Mutant, StaleError
from servers import Servers

COPIED = ("src", "alembic", "tests", "tools")
FILES = ("alembic.ini", "docker-compose.yml", "pyproject.toml")
TIMEOUT = 30  # seconds a test: one that hangs has failed
SKIPPED = shutil.ignore_patterns("__pycache__", "mutants")
FAILED = 1  # pytest's exit code where tests ran and failed


@dataclass(frozen=True)
class Run:
    """How a run of pytest ended."""

    code: int
    output: str

    @property
    def summary(self) -> str:
        """Its last line."""
        return self.output.strip().rpartition("\n")[2]

    @property
    def reason(self) -> str:
        """What the test that failed said."""
        failures = [line for line in self.output.splitlines() if line.startswith("FAILED")]
        return failures[0].partition(" - ")[2] if failures else ""

    @property
    def failed(self) -> bool:
        """Whether a test ran and failed; a fixture or an import that broke proves nothing."""
        return self.code == FAILED and " failed" in self.summary and "error" not in self.summary


@dataclass(frozen=True)
class Laboratory:
    """Both servers are shared by all runs; each run has a copy of its own."""

    servers: Servers

    def healthy(self, tests: Sequence[str]) -> Run:
        """The tests against the code as it is."""
        with _copy() as copy:
            return self._pytest(copy, tests)

    def verdict(self, mutant: Mutant) -> tuple[str, str]:
        """`caught`, `SURVIVED`, `STALE` or `BROKEN`, and what there is to say about it."""
        with _copy() as copy:
            try:
                mutant.source(copy).write_text(mutant.broken(copy))
            except StaleError as error:
                return "STALE", str(error)
            run = self._pytest(copy, [mutant.test])
        if run.failed:
            return "caught", run.reason
        return ("SURVIVED", mutant.lost) if run.code == 0 else ("BROKEN", run.output[-2000:])

    def _pytest(self, copy: Path, tests: Sequence[str]) -> Run:
        command = [sys.executable, "-m", "pytest", "-q", f"--timeout={TIMEOUT}", *tests]
        done = subprocess.run(
            command, cwd=copy, env=self._environment(copy), capture_output=True, text=True, check=False
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def _environment(self, copy: Path) -> Mapping[str, str]:
        # PYTHONPATH comes before the installed package, in the tests and in the workers that they start.
        given = {
            "COLUMNS": "300",
            "PYTHONPATH": str(copy / "src"),
            "TEST_DATABASE_URL": self.servers.postgres,
            "TEST_ELASTIC_URL": self.servers.sink,
        }
        return os.environ | given


@contextmanager
def _copy() -> Iterator[Path]:
    with TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(CHECKOUT / name, copy / name, ignore=SKIPPED)
        for name in FILES:
            shutil.copy(CHECKOUT / name, copy / name)
        yield copy
