"""`make test-engines`: the contract on a real server of each kind, one after the other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.services.engines import RELEASES

HERE = Path(__file__).parent
PATIENCE = 600  # seconds for one engine
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")  # see `servers`


class Count(NamedTuple):
    """Of one engine's run."""

    passed: int
    failed: int
    skipped: int

    @property
    def green(self) -> bool:
        """Everything ran and passed: a contract with holes is none."""
        return self.passed > 0 and not self.failed and not self.skipped


def main(chosen: list[str]) -> int:
    """0 if the contract holds on every chosen kind, all by default."""
    kinds = [kind for kind in RELEASES if kind in chosen or not chosen]
    with TemporaryDirectory(prefix="outboxctl-engines-") as folder:
        lines = [_line(kind, Path(folder)) for kind in kinds]
    for line, _ in lines:
        say(line)
    return 0 if kinds and all(green for _, green in lines) else 1


def _line(kind: Any, folder: Path) -> tuple[str, bool]:
    title, started = RELEASES[kind].title, monotonic()
    say(f"== {title}")
    try:
        count = _tested(kind, folder)
    except OutboxctlError as error:
        return f"{title}: not started: {error}", False
    took = f"{monotonic() - started:.0f} s"
    told = f"{title}: {count.passed} contract tests passed, {count.failed} failed, {count.skipped} skipped"
    return f"{told} ({took})", count.green


def _tested(kind: Any, folder: Path) -> Count:
    report = folder / f"{kind}.xml"
    with _servers(kind, folder / kind) as given:
        env = os.environ | given | {"OUTBOXCTL_TEST_ENGINE": kind}
        command = [sys.executable, "-m", "pytest", "-n0", "-q", f"--junitxml={report}", str(HERE)]
        subprocess.run(command, env=env, check=False, timeout=PATIENCE)
    return _counted(report)


@contextmanager
def _servers(kind: Any, state: Path) -> Iterator[dict[str, str]]:
    both = services.up(state, search=kind, fresh_ports=True, fast=True, say=say)
    try:
        yield {"TEST_DATABASE_URL": both.postgres.admin_url, "TEST_ELASTIC_URL": both.search.url}
    finally:
        services.down(state, purge=True)


def _counted(report: Path) -> Count:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
