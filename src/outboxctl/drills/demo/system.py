"""The demo's system: both servers, our own connections to them, and the worker."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.schema.names import SOURCE
from outboxctl.core.sql import text
from outboxctl.core.stats import snapshot
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.demo.report import DemoCheck, Screen
from outboxctl.drills.scratch.settings import environment, fixed
from outboxctl.drills.scratch.worker import WorkerProcess
from outboxctl.drills.services import Services
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.open import connect

# Short leases, so that events of a killed worker are reclaimed soon; batches small enough to kill the worker
# between the first and the last.
SETTINGS: dict[str, Any] = {
    "lease_seconds": 2.0,
    "reclaim_interval_seconds": 1.0,
    "poll_interval_seconds": 0.2,
    "bulk_size": 200,
    "concurrency": 3,
}
OTHER_SESSIONS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
ROWS = f"SELECT count(*) FROM {SOURCE}"  # noqa: S608 - built from constants
SESSIONS_SECONDS = 10.0
POLL_SECONDS = 0.02
STALLED_SECONDS = 30.0


class DemoSystem:
    """Both servers and the worker between them; `close` ends the worker and our connections.

    `folder` is for files of the run.
    """

    def __init__(self, folder: Path, both: Services) -> None:
        own = SETTINGS | {"database_url": both.postgres.url, "elastic_url": both.search.url}
        self.services, self.folder = both, folder
        self.settings = fixed(own)
        self.database = Database(self.settings.require_database_url(), connections=1)
        self.client = connect(self.settings, timeout=30)
        self.worker = WorkerProcess(environment(own), folder)

    def close(self) -> None:
        """Kill the worker, and close our connections."""
        self.worker.kill()
        self.client.close()
        self.database.close()

    def status(self) -> PipelineStatus:
        """The status of the pipeline now."""
        with self.database.begin() as connection:
            return snapshot.pipeline_status(connection, max_processing=self.settings.max_processing_seconds)

    def rows(self) -> int:
        """Rows in the source table."""
        return self._number(ROWS)

    def indexed(self) -> int:
        """Documents in the index."""
        return index_setup.count(self.client, self.settings.elastic_index)

    def wait_for_sessions(self) -> None:
        """Wait until a killed worker's sessions have ended: their last statement may still commit."""
        deadline = monotonic() + SESSIONS_SECONDS
        while self._number(OTHER_SESSIONS) and monotonic() < deadline:
            sleep(POLL_SECONDS)

    def _number(self, statement: str) -> int:
        with self.database.begin() as connection:
            return int(connection.execute(text(statement)).scalar_one())


class Stage:
    """A system, the number of events `written` to it, the screen, and the `checks` of what was seen."""

    def __init__(self, system: DemoSystem, screen: Screen) -> None:
        self.system, self.screen = system, screen
        self.written = 0
        self.checks: list[DemoCheck] = []

    def watch(self, until: Callable[[PipelineStatus], bool]) -> PipelineStatus:
        """Poll until then; OutboxctlError if the worker ends or no event becomes done for too long."""
        last, deadline = -1, 0.0
        while not until(now := self.system.status()):
            self.screen.progress(now.status["done"], self.written)
            self.system.worker.must_live()
            if now.status["done"] != last:
                last, deadline = now.status["done"], monotonic() + STALLED_SECONDS
            if monotonic() > deadline:
                raise OutboxctlError(f"nothing was done for {STALLED_SECONDS:g} s: {now.status}")
            sleep(POLL_SECONDS)
        return now

    def check(self, name: str, seen: int, expected: int, *, at_least: bool = False) -> None:
        """Add a check."""
        self.checks.append(DemoCheck(name, seen, expected, at_least))
