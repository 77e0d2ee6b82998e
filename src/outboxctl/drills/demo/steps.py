"""The acts of the story. Each tells what it does and what it saw, and leaves checks behind."""

import platform
from collections.abc import Callable, Generator, Iterator
from time import monotonic, sleep
from uuid import uuid4

from outboxctl.core.operator import inject, selection
from outboxctl.core.schema import migrations
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.demo import documents, produce
from outboxctl.drills.demo.report import DemoCheck, DemoProgress, Event, Step, StepOutput
from outboxctl.drills.demo.stage import Stage
from outboxctl.sink.index import index_setup

QUERY = "open a file for reading"
BAD_OP = "not-a-real-op"
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
KILLS = 3


class Steps:
    """The acts on a stage; `checks`, `hits` and `replayable` are what they found."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.documents: list[documents.Docstring] = []
        self.written = 0  # events
        self.checks: list[DemoCheck] = []
        self.hits: list[index_setup.Hit] = []
        self.replayable: list[str] = []

    def play(self) -> Iterator[Event]:
        """All of them, in order."""
        yield from self._create()
        yield from self._collect()
        yield from self._write()
        yield from self.kill()
        yield from self._recover()
        yield from self._break()
        yield from self._search()
        yield from self._compare()
        yield from self._plan_replay()
        yield from self._stop()

    def _create(self) -> Iterator[Event]:
        yield Step("Schema", "creating the tables and the index")
        done = migrations.upgrade(self.stage.database, None)
        name = self.stage.settings.elastic_index
        index_setup.ensure(self.stage.client, name)
        yield StepOutput(f"{len(done.added)} tables at revision {done.after}; index {name}")

    def _collect(self) -> Iterator[Event]:
        yield Step("Documents", "reading the docstrings of Python's standard library")
        self.documents = documents.collect()
        version = platform.python_version()
        yield StepOutput(f"{len(self.documents):,} docstrings of Python {version}'s standard library")

    def _write(self) -> Iterator[Event]:
        yield Step("Produce", "writing rows and events")
        total = len(self.documents)
        for count in produce.write(self.stage.settings.require_database_url(), self.documents):
            yield DemoProgress(count, total)
        self.written += total
        yield StepOutput(f"{total:,} rows, each with its event in one transaction", self.stage.status())

    def kill(self) -> Iterator[Event]:
        """Kill the worker in the middle; a worker that was too quick gets the same work again."""
        for attempt in range(KILLS):
            if attempt:
                yield from self._write()
            caught = yield from self._kill_once()
            if caught:
                break
        self.check("processing when the worker was killed", caught, 1, at_least=True)

    def _kill_once(self) -> Generator[Event, None, int]:
        yield Step("Worker, killed", "waiting for the worker to be in the middle")
        self.stage.worker.start()
        yield from self._watch(self._in_the_middle)
        self.stage.worker.kill()
        self.stage.wait_for_silence()
        standing = self.stage.status()
        caught = standing.status["processing"]
        told = f"SIGKILL while {caught:,} events were processing" if caught else "too late: all was done"
        yield StepOutput(told, standing)
        return caught

    def _recover(self) -> Iterator[Event]:
        yield Step("Worker, again", "waiting for leases to end, and for the rest")
        self.stage.worker.start()
        standing = yield from self._watch(lambda now: now.lag == 0)
        reclaimed, caught = self.stage.worker.reclaimed(), self.checks[-1].seen
        self.check("reclaimed by the next worker", reclaimed, caught, at_least=True)
        yield StepOutput(f"reclaimed {reclaimed:,} and delivered the rest", standing)

    def _break(self) -> Iterator[Event]:
        yield Step("Bad op", "injecting an event that no worker understands")
        with self.stage.database.begin() as connection:
            entity = str(uuid4())
            inject.event(
                connection, entity_type=documents.ENTITY_TYPE, entity_id=entity, op=BAD_OP, version=0
            )
        standing = yield from self._watch(lambda now: now.lag == 0)
        reasons = ", ".join(standing.failed_by_reason)
        yield StepOutput(f"op {BAD_OP!r} failed for good: {reasons}", standing)

    def _search(self) -> Iterator[Event]:
        yield Step("Search", f"searching for {QUERY!r}")
        indexed = self.stage.indexed()
        self.hits = index_setup.search(self.stage.client, self.stage.settings.elastic_index, QUERY)
        self.check(f"hits for {QUERY!r}", len(self.hits), 1, at_least=True)
        yield StepOutput(f"{QUERY!r} in {indexed:,} documents:", hits=tuple(self.hits))

    def _compare(self) -> Iterator[Event]:
        yield Step("Compare", "comparing both sides")
        total, standing = len(self.documents), self.stage.status()
        rows, indexed = self.stage.rows(), self.stage.indexed()
        self.check("rows in search_index", rows, total)
        self.check("documents in the index", indexed, total)
        self.check("rows without their document", self.stage.missing(self.documents), 0)
        self.check("events done", standing.status["done"], self.written)
        self.check("events failed (the bad op)", standing.status["failed"], 1)
        self.check("events pending or processing", standing.lag, 0)
        yield StepOutput(f"{rows:,} rows in PostgreSQL, {indexed:,} documents in the index")

    def _plan_replay(self) -> Iterator[Event]:
        yield Step("Replay", "planning a replay")
        with self.stage.database.begin() as connection:
            plan = selection.plan(connection, selection.Selection())
        self.replayable = plan.ids
        self.check("failed events that a replay would take", plan.matched, 1)
        yield StepOutput(f"dry run: {plan.matched} failed event would go back to pending")

    def _stop(self) -> Iterator[Event]:
        yield Step("Worker, stopped", "stopping the worker")
        code = self.stage.worker.stop()
        self.check("exit code of the worker after SIGTERM", code, 0)
        yield StepOutput(f"SIGTERM, exit code {code}")

    def _in_the_middle(self, now: PipelineStatus) -> bool:
        """A quarter is done and something is under way; or it is too late."""
        done = now.status["done"] - (self.written - len(self.documents))
        return now.lag == 0 or (done >= len(self.documents) / 4 and now.status["processing"] > 0)

    def _watch(self, until: Callable[[PipelineStatus], bool]) -> Generator[Event, None, PipelineStatus]:
        """Look again and again; OutboxctlError if the worker ends or nothing changes any more."""
        last, deadline = -1, 0.0
        while not until(now := self.stage.status()):
            yield DemoProgress(now.status["done"], self.written)
            self.stage.worker.must_live()
            if now.status["done"] != last:
                last, deadline = now.status["done"], monotonic() + PATIENCE_SECONDS
            if monotonic() > deadline:
                raise OutboxctlError(f"nothing was done for {PATIENCE_SECONDS:g} s: {now.status}")
            sleep(PAUSE_SECONDS)
        return now

    def check(self, name: str, seen: int, expected: int, *, at_least: bool = False) -> None:
        """Note what was seen."""
        self.checks.append(DemoCheck(name, seen, expected, at_least))
