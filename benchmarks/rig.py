"""The rig: servers started for the run, the database and the index that are measured, and CPU clocks."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import psutil

from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills import services
from outboxctl.drills.faults import guest
from outboxctl.drills.scratch import environment, fixed
from outboxctl.drills.services.model import Say
from outboxctl.settings import Settings
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect

Clock = Callable[[], float]
SERVERS = ("postgres", "engine")
PATIENCE = 3_600.0  # seconds that a command may take
LIBRARIES = ("outboxctl", "urllib3", "psycopg", "SQLAlchemy")


@dataclass(frozen=True)
class Rig:
    """A migrated database and an index; all that is in the tables and the index of `settings` is the rig's.

    `cpu` holds CPU seconds so far of `postgres` and `engine`, with their children. `checkpoint` makes
    PostgreSQL write out everything, so that it does not do so during a measurement. Workers are started in
    `folder`, which has no `.env`, with `more` settings by field name.
    """

    settings: Settings
    database: Database
    client: Client
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)
    cpu: Mapping[str, Clock] = field(default_factory=dict)
    checkpoint: Callable[[], None] = lambda: None
    more: Mapping[str, str] = field(default_factory=dict)

    def cpu_seconds(self, server: str) -> float:
        """CPU seconds of `postgres` or `engine` so far; 0 where that cannot be read."""
        return self.cpu[server]() if server in self.cpu else 0.0

    def environment(self) -> dict[str, str]:
        """A command's environment: the rig's settings, and none of the developer's."""
        s = self.settings
        own = {"database_url": s.require_database_url(), "elastic_url": s.elastic_url.get_secret_value()}
        names = ("elastic_index", "bulk_size", "max_batch_bytes", "concurrency")
        own |= {name: getattr(s, name) for name in names}
        return environment(own | {"metrics_port": services.fresh_port()} | dict(self.more))


def must(holds: bool, otherwise: str) -> None:
    """Raise OutboxctlError, which ends the run, where a condition of the measurement does not hold."""
    if not holds:
        raise OutboxctlError(f"the measurement is void: {otherwise}", hint="run it again")


@contextmanager
def own_servers(state: Path, folder: Path, say: Say, tuning: Mapping[str, int]) -> Iterator[Rig]:
    """Start PostgreSQL and Elasticsearch in `state`, for the caller to stop; `tuning`: a worker's settings.

    Raises UnreachableError where one cannot be started.
    """
    both = services.up(state, search="elasticsearch", fresh_ports=True, say=say)
    urls = {"database_url": both.postgres.url, "elastic_url": both.search.url}
    inside = fixed({**urls, "elastic_index": "bench", **tuning})
    guest.furnish(inside, "test")
    versions = {"PostgreSQL": both.postgres.version, "Elasticsearch": both.search.version}
    cpu = {"postgres": _clock(both.postgres), "engine": _clock(both.search)}
    with closing(Database(inside.require_database_url())) as database, closing(connect(inside)) as client:
        yield Rig(
            inside, database, client, folder, versions, cpu, partial(_checkpoint, both.postgres.admin_url)
        )


def _checkpoint(admin_url: str) -> None:
    with closing(Database(admin_url, connections=1)) as database, database.apart() as session:
        session.execute("CHECKPOINT")


def surroundings(servers: Mapping[str, str]) -> dict[str, str]:
    """Day, commit, cores, memory, platform and all versions, by name; no name of this machine."""
    return {
        "on": datetime.now(UTC).date().isoformat(),
        **_commit(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        **servers,
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _commit() -> dict[str, str]:
    """The commit of a checkout; nothing in an archive."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return {"commit": found.stdout.strip()} if found.returncode == 0 else {}


class OtherProcesses:
    """Cores used by processes that are neither this one, its children nor the rig's servers.

    On a machine that is not idle they change every figure.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._last = self._now()

    def cores(self) -> float:
        """Cores used, on average since the last call or the creation."""
        (then, before), (now, after) = self._last, self._now()
        self._last = (now, after)
        return max(0.0, (after - before) / (now - then))

    def _now(self) -> tuple[float, float]:
        """The time, and the CPU seconds of other processes so far."""
        busy, own = psutil.cpu_times(), sum(psutil.Process().cpu_times()[:4])
        idle = busy.idle + float(getattr(busy, "iowait", 0.0))
        return monotonic(), float(sum(busy) - idle - own - sum(map(self._rig.cpu_seconds, SERVERS)))


def _clock(service: services.Service) -> Clock:
    return partial(_seconds, psutil.Process(service.pid))


def _seconds(server: psutil.Process) -> float:
    """CPU seconds of a server so far, with its children, the ended ones included.

    A child that ends while they are added up would be missed: repeat until none has ended meanwhile.
    """
    while True:
        own, children = server.cpu_times(), server.children()
        total = sum(map(_child_seconds, children)) + own.user + own.system
        after = server.cpu_times()
        if (own.children_user, own.children_system) == (after.children_user, after.children_system):
            return float(total + own.children_user + own.children_system)


def _child_seconds(child: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = child.cpu_times()
        return float(times.user + times.system)
    return 0.0
