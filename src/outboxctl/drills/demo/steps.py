"""The steps of the demo. Each yields what it does and its result, and adds checks."""

import platform
from collections.abc import Generator, Iterator
from uuid import uuid4

from outboxctl.core.operator import inject, selection
from outboxctl.core.schema import migrations
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.drills.demo import documents
from outboxctl.drills.demo.projected import ProjectionSteps
from outboxctl.drills.demo.report import DemoProgress, DemoStep, Event, StepOutput
from outboxctl.drills.demo.stage import Stage
from outboxctl.drills.demo.system import DemoSystem
from outboxctl.sink.index import index_setup

QUERY = "open a file for reading"
BAD_OP = "not-a-real-op"
KILLS = 3


class Steps(Stage):
    """The steps on a system; `checks`, `hits`, `replayable` and those of `projected` are their results."""

    def __init__(self, system: DemoSystem) -> None:
        super().__init__(system)
        self.documents: list[documents.Docstring] = []
        self.projected = ProjectionSteps(self)
        self.hits: list[index_setup.Hit] = []
        self.replayable: list[str] = []

    def play(self) -> Iterator[Event]:
        """Run all of them, in order."""
        yield from self._create()
        yield from self._collect()
        yield from self._write()
        yield from self.kill()
        yield from self._recover()
        yield from self._break()
        yield from self._search()
        yield from self._compare()
        yield from self._plan_replay()
        yield from self.projected.play(self.documents)
        yield from self._stop()

    def _create(self) -> Iterator[Event]:
        yield DemoStep("Schema", "creating the tables and the index")
        done = migrations.upgrade(self.system.database, None)
        self.system.database.renew_connections()
        name = self.system.settings.elastic_index
        index_setup.ensure(self.system.client, name)
        yield StepOutput(f"{len(done.added)} tables at revision {done.after}; index {name}")

    def _collect(self) -> Iterator[Event]:
        yield DemoStep("Documents", "reading the docstrings of Python's standard library")
        self.documents = documents.collect()
        version = platform.python_version()
        yield StepOutput(f"{len(self.documents):,} docstrings of Python {version}'s standard library")

    def _write(self) -> Iterator[Event]:
        yield DemoStep("Produce", "writing rows and events")
        total = len(self.documents)
        for count in documents.write(self.system.settings.require_database_url(), self.documents):
            yield DemoProgress(count, total)
        self.written += total
        yield StepOutput(f"{total:,} rows, each with its event in one transaction", self.system.status())

    def kill(self) -> Iterator[Event]:
        """Kill the worker in the middle; if it had finished already, write the same documents again."""
        for attempt in range(KILLS):
            if attempt:
                yield from self._write()
            if processing := (yield from self._kill_once()):
                break
        self.check("processing when the worker was killed", processing, 1, at_least=True)

    def _kill_once(self) -> Generator[Event, None, int]:
        yield DemoStep("Worker, killed", "waiting for the worker to be in the middle")
        self.system.worker.start()
        yield from self.watch(self._in_the_middle)
        self.system.worker.kill()
        self.system.wait_for_sessions()
        now = self.system.status()
        processing = now.status["processing"]
        killed = f"SIGKILL while {processing:,} events were processing"
        yield StepOutput(killed if processing else "too late: all was done", now)
        return processing

    def _recover(self) -> Iterator[Event]:
        yield DemoStep("Worker, again", "waiting for leases to end, and for the rest")
        self.system.worker.start()
        now = yield from self.watch(lambda now: now.lag == 0)
        reclaimed, processing = self.system.worker.reclaimed(), self.checks[-1].seen
        self.check("reclaimed by the next worker", reclaimed, processing, at_least=True)
        yield StepOutput(f"reclaimed {reclaimed:,} and delivered the rest", now)

    def _break(self) -> Iterator[Event]:
        yield DemoStep("Bad op", "injecting an event with an unknown op")
        with self.system.database.begin() as connection:
            entity = str(uuid4())
            inject.event(
                connection, entity_type=documents.ENTITY_TYPE, entity_id=entity, op=BAD_OP, version=0
            )
        now = yield from self.watch(lambda now: now.lag == 0)
        reasons = ", ".join(now.failed_by_reason)
        yield StepOutput(f"op {BAD_OP!r} failed for good: {reasons}", now)

    def _search(self) -> Iterator[Event]:
        yield DemoStep("Search", f"searching for {QUERY!r}")
        indexed = self.system.indexed()
        self.hits = index_setup.search(self.system.client, self.system.settings.elastic_index, QUERY)
        self.check(f"hits for {QUERY!r}", len(self.hits), 1, at_least=True)
        yield StepOutput(f"{QUERY!r} in {indexed:,} documents:", hits=tuple(self.hits))

    def _compare(self) -> Iterator[Event]:
        yield DemoStep("Compare", "comparing both sides")
        total, now = len(self.documents), self.system.status()
        rows, indexed = self.system.rows(), self.system.indexed()
        self.check("rows in search_index", rows, total)
        self.check("documents in the index", indexed, total)
        self.check("events done", now.status["done"], self.written)
        self.check("events failed (the bad op)", now.status["failed"], 1)
        self.check("events pending or processing", now.lag, 0)
        yield StepOutput(f"{rows:,} rows in PostgreSQL, {indexed:,} documents in the index")

    def _plan_replay(self) -> Iterator[Event]:
        yield DemoStep("Replay", "planning a replay")
        with self.system.database.begin() as connection:
            plan = selection.plan(connection, selection.Selection())
        self.replayable = plan.ids
        self.check("failed events that a replay would take", plan.matched, 1)
        yield StepOutput(f"dry run: {plan.matched} failed event would go back to pending")

    def _stop(self) -> Iterator[Event]:
        yield DemoStep("Worker, stopped", "stopping the worker")
        code = self.system.worker.stop()
        self.check("exit code of the worker after SIGTERM", code, 0)
        yield StepOutput(f"SIGTERM, exit code {code}")

    def _in_the_middle(self, now: PipelineStatus) -> bool:
        """A quarter is done and events are processing; or all is done."""
        done = now.status["done"] - (self.written - len(self.documents))
        return now.lag == 0 or (done >= len(self.documents) / 4 and now.status["processing"] > 0)
