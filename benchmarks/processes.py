"""`outboxctl` commands as processes: started, timed to their exit, or a worker beside a measurement."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, perf_counter, sleep, time
from typing import IO, Any

from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.process import OUTBOXCTL, PATIENCE, environment, lanes_at
from outboxctl.drills.bench.rig import Rig, must

CLAIMED_AT = f"SELECT coalesce(extract(epoch FROM min(processing_started_at)), 0) FROM {EVENTS}"


def begin(
    rig: Rig,
    *args: str,
    command: Sequence[str] = OUTBOXCTL,
    stderr: IO[str] | int | None = None,
    **env: str,
) -> subprocess.Popen[str]:
    """Start a command; its standard output is a pipe. `env` is added to its environment."""
    command, env, out = [*command, *args], environment(rig) | env, subprocess.PIPE
    return subprocess.Popen(command, env=env, cwd=rig.folder, stdout=out, stderr=stderr, text=True)


@contextmanager
def serving(rig: Rig, *, command: Sequence[str] = OUTBOXCTL, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that has started, and is stopped by SIGTERM at the end."""
    log = rig.folder / "worker.log"
    with log.open("w") as out:
        process = begin(rig, "worker", command=command, stderr=out, **env)
    try:
        wait_until(lambda: lanes_at(log) or process.poll() is not None, "the worker's start", 0.02)
        must(process.poll() is None, log.read_text())
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def answer(rig: Rig, *args: str) -> tuple[float, Any]:
    """Seconds of a command from start to exit, and the JSON that it printed."""
    started = perf_counter()
    with begin(rig, *args, "--json") as process:
        out = process.communicate(timeout=PATIENCE)[0]
    seconds = perf_counter() - started
    must(process.returncode == 0, f"{args}: {process.returncode}")
    return seconds, json.loads(out)


def wait_until(
    holds: Callable[[], object], what: str, interval: float = 0.1, *, patience: float = PATIENCE
) -> None:
    """Raises OutboxctlError if it does not come true in so many seconds."""
    end = monotonic() + patience
    while not holds():
        must(monotonic() < end, f"{what} did not happen in {patience:g} s")
        sleep(interval)


def wait_done(rig: Rig, events: int) -> None:
    """Wait until so many events are done."""
    wait_until(lambda: tables.done(rig) >= events, f"the settling of {events} events")


def help_ms(runs: int) -> list[float]:
    """Milliseconds of `outboxctl --help`, after one run that fills the disk's cache."""
    times = []
    for _ in range(runs + 1):
        started = perf_counter()
        # No timeout: waiting with one polls every 50 ms.
        subprocess.run([*OUTBOXCTL, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(1_000 * (perf_counter() - started))
    return times[1:]


def first_claim_ms(rig: Rig, runs: int) -> list[float]:
    """Milliseconds from exec to the first claim, after one run that fills the disk's cache.

    The sink answers what a worker requests before its first claim, and no bulk request: the event stays
    claimed until that was read. The time of the claim is the database's, so both must be on one machine.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), _SilentSink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        times = [_first_claim_ms(rig, url) for _ in range(runs + 1)]
        _SilentSink.over.set()
        server.shutdown()
    return times[1:]


def _first_claim_ms(rig: Rig, silent: str) -> float:
    tables.pending(rig, 1, 1)
    started = time()
    with begin(rig, "worker", stderr=subprocess.DEVNULL, ELASTIC_URL=silent) as process:
        try:
            wait_until(lambda: tables.number(rig, CLAIMED_AT), "a claim", 0.05)
            return 1_000 * (tables.number(rig, CLAIMED_AT) - started)
        finally:
            process.kill()


class _SilentSink(BaseHTTPRequestHandler):
    over = threading.Event()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.end_headers()

    def do_PUT(self) -> None:
        self.over.wait(PATIENCE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
        pass
