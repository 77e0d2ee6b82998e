"""The servers that everything is measured on, the progress of a run, and how a run ends."""

import fcntl
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.bench import place
from outboxctl.drills.bench.process import PATIENCE
from outboxctl.drills.bench.rig import Rig

STATE = Path(__file__).parents[1] / ".outboxctl" / "bench"
START = monotonic()


def say(text: str) -> None:
    """Print one line of progress to stderr."""
    print(f"[{monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an OutboxctlError as two lines and exit with its code; at SIGTERM stop the servers and exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except OutboxctlError as error:
        print(f"benchmarks: {error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)


@contextmanager
def started(**tuning: int) -> Iterator[Rig]:
    """Start PostgreSQL and Elasticsearch, create the schema, and stop both at the end.

    `tuning` are settings of the worker. Raises UnreachableError where only an imitation could be started.
    """
    with _locked():
        try:
            servers = place.own_servers(STATE, "elasticsearch", say, postgres="embedded")
            with servers as rig, tempfile.TemporaryDirectory() as folder:
                settings = rig.settings.model_copy(update=tuning)
                yield replace(rig, settings=settings, folder=Path(folder), patience=PATIENCE)
        finally:
            services.down(STATE, purge=True)


@contextmanager
def _locked() -> Iterator[None]:
    """Two runs at once would slow each other down, and stop each other's servers."""
    STATE.parent.mkdir(exist_ok=True)
    with STATE.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another benchmark is running", hint="wait for it to end") from None
        yield
