"""A worker needs no more of its machine than the unit and the image leave it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import OUTBOXCTL, Cli, environment

UNIT = Path(__file__).parents[2] / "deploy/systemd/outboxctl-worker@.service"
WRITES = re.compile(
    r"^\d+ +(?:open\w*\(.*O_(?:WRONLY|RDWR|CREAT)|(?:mkdir|unlink|rename|symlink|link|truncate))"
)
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


@pytest.fixture
def calls(cli: Cli, env: dict[str, str], tmp_path: Path) -> str:
    """Every system call of a worker without a home that delivered something, a line each."""
    cli.ok("inject", "load", "--total", "20", "--rate", "0")
    trace, bare = tmp_path / "trace", {name: value for name, value in env.items() if name != "HOME"}
    python, *program = OUTBOXCTL
    command = ["strace", "-f", "-qq", "-o", str(trace), python, "-B", *program, "worker", "--drain"]
    done = subprocess.run(
        command, env=bare, cwd="/", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert cli.json("status")["status"]["done"] == 20
    return trace.read_text()


def allowed(group: str) -> Iterator[str]:
    """The system calls of a group of systemd's and of the groups in it."""
    command = ["systemd-analyze", "syscall-filter", group]
    shown = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    for line in shown.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            yield from allowed(name)
        elif name and not name.startswith("#"):
            yield name


def permitted() -> set[str]:
    """What the unit's SystemCallFilter lets through."""
    given, taken = re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE)
    rest = {name for group in taken.removeprefix("~").split() for name in allowed(group)}
    return set(allowed(given)) - rest


@pytest.mark.slow(reason="traces each system call of a worker")
@needs_strace
def test_it_writes_no_file_and_asks_the_kernel_for_nothing_unusual(calls: str) -> None:
    assert "connect(" in calls, "the trace can be read"
    written = [line for line in calls.splitlines() if WRITES.match(line) and "/dev/" not in line]
    assert not written, "a read-only file system would refuse"
    families = set(re.findall(r"socket\((AF_\w+)", calls))
    assert families <= {*re.findall(r"AF_\w+", UNIT.read_text()), "AF_NETLINK"}, "glibc does without netlink"
    assert not re.search(r"mmap\(.*PROT_WRITE\|PROT_EXEC", calls), "MemoryDenyWriteExecute would refuse"
    if shutil.which("systemd-analyze"):
        assert set(re.findall(r"^\d+ +(\w+)\(", calls, re.MULTILINE)) <= permitted()
