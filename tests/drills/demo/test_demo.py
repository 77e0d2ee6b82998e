"""The demo as a user runs it: a real process, services of its own, and nothing left behind."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from processes import OUTBOXCTL, Cli, environment, eventually

pytestmark = pytest.mark.no_servers
WORKER_SECONDS = 180  # until it is started, on a machine with much else to do
SEEN = re.compile(r"^ *(documents .*?\S)  +(\d+)  ", re.MULTILINE)  # a row of the table of checks
OURS = {"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none", "OUTBOX_BULK_SIZE": "nonsense"}


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """A home and a state folder of its own, and settings that the demo must not look at."""
    return environment(HOME=str(tmp_path), OUTBOXCTL_STATE=str(tmp_path / "state"), **OURS)


@pytest.fixture
def running(surroundings: dict[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A demo under way, its worker at work."""
    with (tmp_path / "output").open("w") as out:
        process = subprocess.Popen(
            [*OUTBOXCTL, "demo", "--search", "noida"],
            env=surroundings,
            cwd=tmp_path,
            stdout=out,
            stderr=out,
            text=True,
        )
    try:
        eventually(
            lambda: any("outboxctl worker" in line for line in _at_work(tmp_path)),
            within=WORKER_SECONDS,
            what="a worker",
        )
        yield process
    finally:
        process.kill()
        process.wait()


def _at_work(folder: Path) -> list[str]:
    """The command lines of all processes that a demo with this state folder started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OUTBOXCTL_STATE") == str(folder / "state"):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.slow(reason="runs the demo, half a minute on servers of its own")
def test_every_count_agrees_and_nothing_is_left(surroundings: dict[str, str], tmp_path: Path) -> None:
    shown = Cli(surroundings, tmp_path).ok("demo", "--search", "noida")
    assert re.search(r"^(\d+) of \1 checks agree", shown, re.MULTILINE)
    seen = {name: int(number) for name, number in SEEN.findall(shown)}
    assert seen["documents in the index"] > 4_000
    assert seen["documents with the new name"] > 50
    assert seen["documents of the projection"] > 2_000
    assert not _at_work(tmp_path)
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.slow(reason="runs the demo, half a minute on servers of its own")
def test_an_interrupted_demo_takes_everything_down(running: "subprocess.Popen[str]", tmp_path: Path) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert not _at_work(tmp_path)
    assert not list((tmp_path / "state").iterdir())
    assert (tmp_path / "output").read_text().splitlines()[-1].startswith("Interrupted;")
