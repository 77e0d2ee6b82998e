"""What the pictures show, played on real servers: the demo, `top` over a pipeline at work, a lab."""

import os
import platform
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.readme_pictures.names import LAB
from tools.readme_pictures.recorded import Terminal, Write, record
from tools.readme_pictures.screen import Frame, frames

import servers
from operations.session import Stage, staged
from outboxctl.drills import services
from processes import OUTBOXCTL, environment

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 80, 28
DEMO = ("make", "demo")
TOP_LINES = 16
LOOKS, LOOK_SECONDS = 62, 0.5  # that the bars of `top` have room for
# Events, and how many a second: what a day looks like in half a minute.
LOAD = ((1200, 150), (3500, 700), (1500, 250), (4800, 800), (3000, 200))
# Seconds until both workers are frozen, and how long: their lag is to be seen.
FROZEN_AFTER, FROZEN_FOR = 13, 3
HOST = "node-3"  # in place of this machine's name


def demo() -> list[Write]:
    """The recording of `make demo`, with the line that starts it."""
    terminal = Terminal(COLUMNS, LINES, environment(), ROOT)
    begun = f"\x1b[1m$\x1b[0m {' '.join(DEMO)}\r\n".encode()
    return [Write(0.0, begun), *record(DEMO, terminal)]


def top() -> Frame:
    """The last look of `top` before it ends, with two workers and a load that comes and goes.

    What has failed is what the engineer of `docs/operators-desk/session.md` finds.
    """
    seconds = LOOKS * LOOK_SECONDS
    with TemporaryDirectory() as folder, servers.started() as both, staged(both, Path(folder)) as stage:
        terminal = Terminal(COLUMNS, TOP_LINES, stage.env, stage.cwd)
        command = [*OUTBOXCTL, "top", "--interval", str(LOOK_SECONDS)]
        with _load(stage), _workers(stage) as workers, _frozen(stage, workers):
            writes = record(command, terminal, keys=(seconds + 3, b"q"))
    until = [write for write in writes if write.at < seconds + 3]
    return _renamed(list(frames(until, COLUMNS, TOP_LINES))[-1])


def lab() -> str:
    """The page of a run of one lab."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "evidence"
        _run(["lab", "run", LAB, "--evidence", str(place)], environment(), Path(folder))
        return (place / "report.html").read_text()


@contextmanager
def _load(stage: Stage) -> Iterator[None]:
    """Events written beside the block, in waves."""
    waves = (
        f"{' '.join(OUTBOXCTL)} inject load --total {total} --rate {rate} --concurrency 4"
        for total, rate in LOAD
    )
    with _started(["sh", "-c", "; ".join(waves)], stage):
        yield


@contextmanager
def _workers(stage: Stage) -> Iterator[list[int]]:
    """Two workers; yields the numbers of their processes."""
    with ExitStack() as stack:
        started = []
        for n in (1, 2):
            port = str(services.fresh_port())
            named = replace(stage, env=stage.env | {"OUTBOX_WORKER_ID": f"indexer-{n}"})
            worker = [*OUTBOXCTL, "worker", "--metrics-port", port]
            started.append(stack.enter_context(_started(worker, named)))
        yield started


@contextmanager
def _frozen(stage: Stage, workers: Sequence[int]) -> Iterator[None]:
    """Both workers stand still for a while beside the block."""
    which = " ".join(map(str, workers))
    script = f"sleep {FROZEN_AFTER}; kill -STOP {which}; sleep {FROZEN_FOR}; kill -CONT {which}"
    with _started(["sh", "-c", script], stage):
        yield


@contextmanager
def _started(command: Sequence[str], stage: Stage) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=stage.env, cwd=stage.cwd, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # a shell's commands as well
        process.wait(30)


def _run(args: Sequence[str], env: dict[str, str], cwd: Path) -> None:
    subprocess.run([*OUTBOXCTL, *args], env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL, timeout=180)


def _renamed(look: Frame) -> Frame:
    """The same without this machine's name."""
    rows = tuple(
        tuple(run._replace(text=run.text.replace(f" on {platform.node()}:", f" on {HOST}:")) for run in row)
        for row in look.rows
    )
    return look._replace(rows=rows)
