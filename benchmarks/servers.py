"""The real servers that everything is measured on, and what their processes cost."""

import fcntl
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import psutil

from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services
from outboxctl.drills.bench import cpu
from outboxctl.drills.bench.rig import Rig
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

STATE = Path(__file__).parents[1] / ".outboxctl" / "bench"
START = monotonic()


def say(text: str) -> None:
    """One line of progress."""
    print(f"[{monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def ending() -> Iterator[None]:
    """Around a whole command: SIGTERM ends the servers, too, and an error is two lines and its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except OutboxctlError as error:
        print(f"benchmarks: {error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)


def _nothing() -> None:
    """What most have to do beforehand."""


@contextmanager
def started(first: Callable[[], None] = _nothing, **tuning: int) -> Iterator[Rig]:
    """Start both, migrate, end both; `first` comes before, while nobody else's servers run in `STATE`.

    UnreachableError where only an imitation could be started.
    """
    with _alone():
        yield from _started(first, tuning)


def _started(first: Callable[[], None], tuning: dict[str, int]) -> Iterator[Rig]:
    try:
        first()
        both = services.up(STATE, postgres="embedded", search="elasticsearch", fresh_ports=True, say=say)
        with tempfile.TemporaryDirectory() as folder, _rig(both, Path(folder), tuning) as rig:
            upgrade(rig.database, None)
            yield rig
    finally:
        services.down(STATE, purge=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs at once would measure each other, and end each other's servers."""
    STATE.parent.mkdir(exist_ok=True)
    with STATE.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another benchmark is running", hint="wait for it to end") from None
        yield


@contextmanager
def _rig(both: services.Services, folder: Path, tuning: dict[str, int]) -> Iterator[Rig]:
    where = {"database_url": both.postgres.url, "elastic_url": both.search.url, "elastic_index": "bench"}
    given: dict[str, Any] = where | tuning | {"_env_file": None}
    settings = Settings(**given)
    database = Database(settings.require_database_url())
    with closing(database), closing(connect(settings)) as client:
        clocks = {"postgres": _clock(both.postgres), "engine": _clock(both.search)}
        versions = {"PostgreSQL": both.postgres.version, "Elasticsearch": both.search.version}
        checkpoint = partial(benchmark_tables.checkpoint, both.postgres.admin_url)
        yield Rig(settings, database, client, folder, versions=versions, cpu=clocks, checkpoint=checkpoint)


def _clock(service: services.Service) -> Callable[[], float]:
    return partial(cpu.seconds, psutil.Process(service.pid))
