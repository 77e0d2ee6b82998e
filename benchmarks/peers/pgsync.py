"""pgsync on the same rows: its first sync, then updates beside its daemon, with triggers or by the log."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import text

from benchmarks.peers import index, writer
from benchmarks.peers.pgsync_setup import HOME, NAME, environment, write_schema
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig, must

STOP = 15.0
ACTIVE = text("SELECT count(*) FROM pg_replication_slots WHERE active")


@dataclass(frozen=True)
class FirstSync:
    """Documents a second: from exec to the last, and from the first to the last; CPU us a document.

    `bootstrap` are the seconds of the command that makes triggers and replication slot, done before.
    """

    bootstrap: float
    whole: float
    running: float
    cpu: float


class Pgsync:
    """pgsync on one database and one index; `redis` are port and process of its queue."""

    def __init__(self, rig: Rig, redis: tuple[int, int], settings: dict[str, str]) -> None:
        self._rig, (port, self._redis) = rig, redis
        self._folder = rig.folder / "pgsync"
        self._folder.mkdir(exist_ok=True)
        self._environment = settings | environment(rig, port)
        write_schema(self._folder, self._environment["PG_URL"])

    def first_sync(self, rows: int, size: int) -> FirstSync:
        """The first sync of so many rows without an outbox."""
        with self._synced(rows, size) as (first, _):
            return first

    def measure(self, rows: int, size: int) -> tuple[FirstSync, writer.Stream]:
        """The same, then each row updated beside the daemon."""
        with self._synced(rows, size) as (first, pid):
            processes = {"own": pid, "redis": self._redis}
            return first, writer.stream(self._rig, NAME, size, processes, events=False)

    @contextmanager
    def _synced(self, rows: int, size: int) -> Iterator[tuple[FirstSync, int]]:
        fill.pending(self._rig, rows, size)
        with self._rig.database.begin() as connection:
            connection.execute(text(f"TRUNCATE {EVENTS}"))
        index.fresh(self._rig, NAME)
        began = monotonic()
        self._bootstrap()
        bootstrap = monotonic() - began
        try:
            with self._daemon("--daemon") as pid:
                first = self._timed(rows, pid, bootstrap)
                self._wait_said("Sync ")  # its second look is over, and nothing holds its slot
                yield first, pid
        finally:
            self._bootstrap("--teardown")

    def measure_wal(self, size: int) -> writer.Stream:
        """The same updates by its mode that reads the log alone, without triggers and Redis."""
        index.fresh(self._rig, NAME)
        try:
            with self._daemon("--wal", "--bootstrap") as pid:
                index.wait_until(self._reads_the_log, "pgsync's replication")
                return writer.stream(self._rig, NAME, size, {"own": pid}, events=False)
        finally:
            self._bootstrap("--teardown")

    def _timed(self, rows: int, pid: int, bootstrap: float) -> FirstSync:
        began = monotonic()
        index.wait_written(self._rig, NAME, 1)
        first = monotonic()
        index.wait_written(self._rig, NAME, rows)
        last = monotonic()
        return FirstSync(
            bootstrap, rows / (last - began), rows / (last - first), 1e6 * writer.seconds(pid) / rows
        )

    def _reads_the_log(self) -> bool:
        with self._rig.database.begin() as connection:
            return bool(connection.execute(ACTIVE).scalar_one())

    def _wait_said(self, words: str) -> None:
        log = self._folder / "pgsync.log"
        index.wait_until(lambda: words in log.read_text(), f"pgsync to say {words!r}")

    def _bootstrap(self, *flags: str) -> None:
        done = subprocess.run(
            [HOME / "bin" / "bootstrap", "--config", "schema.json", *flags],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=index.PATIENCE,
        )
        must(done.returncode == 0, done.stderr)

    @contextmanager
    def _daemon(self, *flags: str) -> Iterator[int]:
        command = [str(HOME / "bin" / "pgsync"), "--config", "schema.json", *flags]
        with (self._folder / "pgsync.log").open("w") as out:
            daemon = subprocess.Popen(
                command, env=self._environment, cwd=self._folder, stdout=out, stderr=out
            )
        try:
            yield daemon.pid
        finally:
            daemon.terminate()
            daemon.wait(STOP)
