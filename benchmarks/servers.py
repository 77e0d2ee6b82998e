"""The real servers that everything is measured on, and what their processes cost."""

import fcntl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import psycopg

from outboxctl import services
from outboxctl.bench.rig import Rig
from outboxctl.core.database import Database
from outboxctl.core.migrations import upgrade
from outboxctl.errors import UsageError
from outboxctl.settings import Settings
from outboxctl.sink.client import connect
from outboxctl.urls import check_database_url

STATE = Path(__file__).parents[1] / ".outboxctl" / "bench"
START = monotonic()


def say(text: str) -> None:
    """One line of progress."""
    print(f"[{monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


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
        cpu = {"postgres": partial(cpu_seconds, both.postgres), "engine": partial(cpu_seconds, both.search)}
        versions = {"PostgreSQL": both.postgres.version, "Elasticsearch": both.search.version}
        checkpoint = partial(_checkpoint, both.postgres)
        yield Rig(settings, database, client, folder, versions=versions, cpu=cpu, checkpoint=checkpoint)


def _checkpoint(postgres: services.Service) -> None:
    """Have the server write out everything; only a superuser may."""
    with psycopg.connect(check_database_url(postgres.admin_url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def cpu_seconds(service: services.Service) -> float:
    """CPU time of a server so far, with its children, the ended ones included.

    A child that ends between two looks would be missed: look again until nothing has changed.
    """
    server = psutil.Process(service.pid)
    while True:
        own, children = server.cpu_times(), server.children()
        total = sum(map(_seconds, children)) + own.user + own.system
        after = server.cpu_times()
        if (own.children_user, own.children_system) == (after.children_user, after.children_system):
            return float(total + own.children_user + own.children_system)


def _seconds(child: psutil.Process) -> float:
    try:
        times = child.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
