"""Cold start: from starting `outboxctl worker` to its first claim."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep, time

from outboxctl.core import benchmark_tables
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.process import OUTBOXCTL, environment
from outboxctl.drills.bench.rig import Rig, must

PATIENCE = 60.0
LOOK = 0.05  # seconds between two looks; what they find is the database's own time of the claim


def first_claim_ms(rig: Rig, runs: int) -> list[float]:
    """Milliseconds to the first claim, after one run that fills the disk's cache.

    The sink is one that answers what a worker asks before its first claim, and no bulk request: what was
    claimed stays claimed until it was seen. This machine's clock is compared with the database's, so both
    must be on one machine, or agree.
    """
    with _silent_sink() as url:
        return [_first_claim_ms(rig, url) for _ in range(runs + 1)][1:]


class _Silent(BaseHTTPRequestHandler):
    over = threading.Event()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.end_headers()

    def do_PUT(self) -> None:
        self.over.wait(PATIENCE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
        pass


@contextmanager
def _silent_sink() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Silent) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        _Silent.over.set()
        server.shutdown()


def _first_claim_ms(rig: Rig, silent: str) -> float:
    fill.pending(rig, 1, 1)
    command, env = [*OUTBOXCTL, "worker"], environment(rig) | {"ELASTIC_URL": silent}
    quiet = subprocess.DEVNULL
    started = time()
    process = subprocess.Popen(command, env=env, cwd=rig.folder, stdout=quiet, stderr=quiet)
    try:
        return 1_000 * (_claimed_at(rig) - started)
    finally:
        process.kill()
        process.wait()


def _claimed_at(rig: Rig) -> float:
    end = monotonic() + PATIENCE
    while True:
        with rig.database.begin() as connection:
            claimed = benchmark_tables.first_claim(connection)
        if claimed:
            return claimed
        must(monotonic() < end, "a worker claimed nothing")
        sleep(LOOK)
