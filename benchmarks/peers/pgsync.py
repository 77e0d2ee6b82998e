"""pgsync on the same rows: installed apart, set up by its documentation, with settings that suit it."""

import json
import os
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from sqlalchemy import text

from benchmarks.peers import index, writer
from benchmarks.servers import STATE
from outboxctl.bench import fill
from outboxctl.bench.rig import Rig, must
from outboxctl.core.schema import EVENTS, SOURCE
from outboxctl.urls import check_database_url

VERSION = "7.3.0"
NAME = "peers-pgsync"
HOME = STATE.with_name("peers") / f"pgsync-{VERSION}"
STOP = 15.0
COLUMNS = [
    *("id", "entity_type", "entity_id", "library_id", "text", "snippet", "rank_score", "event_version"),
    *("created_at", "updated_at"),
]
# Against its defaults: bodies are not compressed, which costs more than it saves on one machine; smaller
# requests and larger reads of its queue, which were the quickest of those tried; less said meanwhile.
SETTINGS = {
    "ELASTICSEARCH_HTTP_COMPRESS": "false",
    "ELASTICSEARCH_CHUNK_SIZE": "1000",
    "REDIS_READ_CHUNK_SIZE": "5000",
    "REDIS_WRITE_CHUNK_SIZE": "5000",
    "LOG_INTERVAL": "5",
    "GENERAL_LOGGING_LEVEL": "WARNING",
}
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


def install() -> None:
    """Into an environment of its own, once. CalledProcessError where pip cannot."""
    python = str(HOME / "bin" / "python")
    if (HOME / "bin" / "pgsync").exists():
        return
    venv.create(HOME, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"pgsync=={VERSION}"], check=True, timeout=300)


class Pgsync:
    """pgsync on one database and one index; `redis` is the port of its queue."""

    def __init__(self, rig: Rig, redis: tuple[int, int]) -> None:
        self._rig, (port, self._redis) = rig, redis
        self._folder = rig.folder / "pgsync"
        self._folder.mkdir(exist_ok=True)
        url = check_database_url(rig.settings.require_database_url())
        self._environment = SETTINGS | {
            "PATH": os.environ["PATH"],
            "PG_URL": url,
            "ELASTICSEARCH_URL": rig.settings.elastic_url.get_secret_value(),
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(port),
        }
        nodes = {"table": SOURCE, "columns": COLUMNS}
        schema = [{"database": urlsplit(url).path.lstrip("/"), "index": NAME, "nodes": nodes}]
        (self._folder / "schema.json").write_text(json.dumps(schema))

    def measure(self, rows: int, size: int) -> tuple[FirstSync, writer.Stream]:
        """The first sync of so many rows without an outbox, then each of them updated beside the daemon."""
        fill.pending(self._rig, rows, size)
        with self._rig.database.begin() as connection:
            connection.execute(text(f"TRUNCATE {EVENTS}"))
        index.fresh(self._rig, NAME)
        began = monotonic()
        self._bootstrap()
        bootstrap = monotonic() - began
        try:
            with self._daemon("--daemon") as pid:
                first = self._first_sync(rows, pid, bootstrap)
                self._wait_said("Sync ")
                processes = {"own": pid, "redis": self._redis}
                return first, writer.stream(self._rig, NAME, size, processes, events=False)
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

    def _first_sync(self, rows: int, pid: int, bootstrap: float) -> FirstSync:
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
