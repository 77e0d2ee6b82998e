"""The steps of the demo. Each shows what it does and its result, and adds checks."""

import platform
from uuid import uuid4

from outboxctl.core.operator import inject, selection
from outboxctl.core.schema import migrations
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.drills.demo import documents
from outboxctl.drills.demo.projected import ProjectionSteps
from outboxctl.drills.demo.report import Screen
from outboxctl.drills.demo.system import DemoSystem, Stage
from outboxctl.sink.index import index_setup

QUERY = "open a file for reading"
BAD_OP = "not-a-real-op"
KILLS = 3


class Steps(Stage):
    """The steps on a system; `checks`, `hits`, `replayable` and `projected` are their results."""

    def __init__(self, system: DemoSystem, screen: Screen) -> None:
        super().__init__(system, screen)
        self.documents: list[documents.Docstring] = []
        self.hits: list[index_setup.Hit] = []
        self.replayable: list[str] = []
        self._projection = ProjectionSteps(self)
        self.projected = self._projection.shown

    def play(self) -> None:
        """Run all of them, in order."""
        self._create()
        self._collect()
        self._write()
        self.kill()
        self._recover()
        self._break()
        self._search()
        self._compare()
        self._plan_replay()
        self._projection.play(self.documents)
        self._stop()

    def _create(self) -> None:
        self.screen.step("Schema", "creating the tables and the index")
        done = migrations.upgrade(self.system.database, None)
        self.system.database.renew_connections()
        name = self.system.settings.elastic_index
        index_setup.ensure(self.system.client, name)
        self.screen.ended(f"{len(done.added)} tables at revision {done.after}; index {name}")

    def _collect(self) -> None:
        self.screen.step("Documents", "reading the docstrings of Python's standard library")
        self.documents = documents.collect()
        version = platform.python_version()
        self.screen.ended(f"{len(self.documents):,} docstrings of Python {version}'s standard library")

    def _write(self) -> None:
        self.screen.step("Produce", "writing rows and events")
        total = len(self.documents)
        for count in documents.write(self.system.settings.require_database_url(), self.documents):
            self.screen.progress(count, total)
        self.written += total
        self.screen.ended(f"{total:,} rows, each with its event in one transaction", self.system.status())

    def kill(self) -> None:
        """Kill the worker in the middle; if it had finished already, write the same documents again."""
        for attempt in range(KILLS):
            if attempt:
                self._write()
            if processing := self._kill_once():
                break
        self.check("processing when the worker was killed", processing, 1, at_least=True)

    def _kill_once(self) -> int:
        self.screen.step("Worker, killed", "waiting for the worker to be in the middle")
        self.system.worker.start()
        self.watch(self._in_the_middle)
        self.system.worker.kill()
        self.system.wait_for_sessions()
        now = self.system.status()
        processing = now.status["processing"]
        killed = f"SIGKILL while {processing:,} events were processing"
        self.screen.ended(killed if processing else "too late: all was done", now)
        return processing

    def _recover(self) -> None:
        self.screen.step("Worker, again", "waiting for leases to end, and for the rest")
        self.system.worker.start()
        now = self.watch(lambda now: now.lag == 0)
        reclaimed, processing = self.system.worker.reclaimed(), self.checks[-1].seen
        self.check("reclaimed by the next worker", reclaimed, processing, at_least=True)
        self.screen.ended(f"reclaimed {reclaimed:,} and delivered the rest", now)

    def _break(self) -> None:
        self.screen.step("Bad op", "injecting an event with an unknown op")
        kind, entity = documents.ENTITY_TYPE, str(uuid4())
        with self.system.database.begin() as connection:
            inject.event(connection, entity_type=kind, entity_id=entity, op=BAD_OP, version=0)
        now = self.watch(lambda now: now.lag == 0)
        self.screen.ended(f"op {BAD_OP!r} failed for good: {', '.join(now.failed_by_reason)}", now)

    def _search(self) -> None:
        self.screen.step("Search", f"searching for {QUERY!r}")
        indexed = self.system.indexed()
        self.hits = index_setup.search(self.system.client, self.system.settings.elastic_index, QUERY)
        self.check(f"hits for {QUERY!r}", len(self.hits), 1, at_least=True)
        self.screen.ended(f"{QUERY!r} in {indexed:,} documents:", hits=self.hits)

    def _compare(self) -> None:
        self.screen.step("Compare", "comparing both sides")
        total, now = len(self.documents), self.system.status()
        rows, indexed = self.system.rows(), self.system.indexed()
        self.check("rows in search_index", rows, total)
        self.check("documents in the index", indexed, total)
        self.check("events done", now.status["done"], self.written)
        self.check("events failed (the bad op)", now.status["failed"], 1)
        self.check("events pending or processing", now.lag, 0)
        self.screen.ended(f"{rows:,} rows in PostgreSQL, {indexed:,} documents in the index")

    def _plan_replay(self) -> None:
        self.screen.step("Replay", "planning a replay")
        with self.system.database.begin() as connection:
            plan = selection.plan(connection, selection.Selection())
        self.replayable = plan.ids
        self.check("failed events that a replay would take", plan.matched, 1)
        self.screen.ended(f"dry run: {plan.matched} failed event would go back to pending")

    def _stop(self) -> None:
        self.screen.step("Worker, stopped", "stopping the worker")
        code = self.system.worker.stop()
        self.check("exit code of the worker after SIGTERM", code, 0)
        self.screen.ended(f"SIGTERM, exit code {code}")

    def _in_the_middle(self, now: PipelineStatus) -> bool:
        """A quarter is done and events are processing; or all is done."""
        done = now.status["done"] - (self.written - len(self.documents))
        return now.lag == 0 or (done >= len(self.documents) / 4 and now.status["processing"] > 0)
