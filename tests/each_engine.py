"""Run a folder of tests for each kind of engine, and say how it went: `make test-engines`, `test-cluster`."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple
from xml.etree import ElementTree as ET

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.services.engines import RELEASES
from outboxctl.drills.services.model import Kind


class Count(NamedTuple):
    """Of one engine's run."""

    passed: int
    failed: int
    skipped: int

    @property
    def green(self) -> bool:
        """Everything ran and passed: a contract with holes is none."""
        return self.passed > 0 and not self.failed and not self.skipped


def on_each(kinds: Iterable[Kind], what: str, tested: Callable[[Kind, Path], Count]) -> int:
    """Call `tested` for each kind with a report's path, then print a line a kind; 0 if all are green."""
    with TemporaryDirectory(prefix="outboxctl-engines-") as folder:
        lines = [_line(kind, what, lambda kind: tested(kind, Path(folder) / kind)) for kind in kinds]
    for line, _ in lines:
        say(line)
    return 0 if lines and all(green for _, green in lines) else 1


def _line(kind: Kind, what: str, tested: Callable[[Kind], Count]) -> tuple[str, bool]:
    title, started = RELEASES[kind].title, monotonic()
    say(f"== {title}")
    try:
        count = tested(kind)
    except OutboxctlError as error:
        return f"{title}: not started: {error}", False
    took = f"{(monotonic() - started) / 60:.1f} min"
    told = f"{title}: {count.passed} {what} tests passed, {count.failed} failed, {count.skipped} skipped"
    return f"{told} ({took})", count.green


def pytest_run(tests: Path, report: Path, env: Mapping[str, str], *, seconds: float) -> Count:
    """Run the tests of a folder in one process, with more environment. Without a report it has failed."""
    command = [sys.executable, "-m", "pytest", "-n0", "-q", f"--junitxml={report}", str(tests)]
    subprocess.run(command, env=os.environ | env, check=False, timeout=seconds)
    if not report.exists():
        return Count(0, 1, 0)
    (suite,) = ET.parse(report).iter("testsuite")  # noqa: S314 - our own
    total, errors, failures, skipped = (
        int(suite.attrib[name]) for name in ("tests", "errors", "failures", "skipped")
    )
    return Count(total - errors - failures - skipped, errors + failures, skipped)


def say(line: str) -> None:
    """Show at once, also in a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
