"""A Redis of our own, for pgsync's queue: nothing on disk, gone when the benchmark ends."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.index import wait_until
from outboxctl.drills import services

FLAGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
STOP = 10.0


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, int]]:
    """Port and process of a `redis-server`; FileNotFoundError where there is none."""
    program, port, log = shutil.which("redis-server"), services.fresh_port(), folder / "redis.log"
    if program is None:
        raise FileNotFoundError("redis-server not found")
    with log.open("w") as out:
        server = subprocess.Popen([program, "--port", str(port), *FLAGS], cwd=folder, stdout=out, stderr=out)
    try:
        wait_until(lambda: "Ready to accept connections" in log.read_text(), "Redis")
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(STOP)
