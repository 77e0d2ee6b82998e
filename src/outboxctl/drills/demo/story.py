"""The demo: services of its own, the steps on a lab's context, which add checks, and the report."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Protocol
from uuid import uuid4

from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.operator import selection
from outboxctl.core.schema import migrations
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.drills import services
from outboxctl.drills.demo import data
from outboxctl.drills.labs import LabContext
from outboxctl.drills.labs.model import LabCheck, LabVerdict, Record
from outboxctl.drills.scratch import Namespace, own_folder
from outboxctl.drills.services.model import SearchWish
from outboxctl.operations.projection import declaration
from outboxctl.operations.projection.apply import Applying
from outboxctl.operations.projection.known import named
from outboxctl.operations.verify.model import Sides
from outboxctl.operations.verify.survey import survey
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.scan import Reader

QUERY = "open a file for reading"
BAD_OP = "not-a-real-op"
NAME = "definition"
TRANSACTION = 100  # documents
POLL_SECONDS, LONGEST_SECONDS = 0.02, 120.0
# Short leases, so that events of a killed worker are reclaimed soon.
SETTINGS = {
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    "OUTBOX_BULK_SIZE": "200",
    "OUTBOX_CONCURRENCY": "3",
}


class Screen(Protocol):
    """Shows the steps."""

    def step(self, name: str, doing: str) -> None:
        """Begin a step."""

    def say(self, text: str) -> None:
        """Say how far the step is."""

    def detail(self, text: str) -> None:
        """Show what the services report while they start and end."""

    def ended(self, text: str) -> None:
        """End a step with its result, perhaps of several lines."""


@dataclass(frozen=True)
class DemoReport:
    """The checks of a demo; `worker_log` only if one failed."""

    checks: list[LabCheck]
    seconds: float
    worker_log: Path | None

    @property
    def ok(self) -> bool:
        """Return whether every check is OK."""
        return LabVerdict.worst(check.verdict for check in self.checks) is LabVerdict.OK


def run_demo(search: SearchWish, screen: Screen) -> DemoReport:
    """Run all steps on services of its own; the report once everything has ended. SignalReceived."""
    began, record = monotonic(), Record("demo", "")
    with own_folder("demo", screen.detail) as folder:
        try:
            screen.step("Services", "starting PostgreSQL and a search engine")
            both = services.up(folder.path, search=search, fresh_ports=True, fast=True, say=screen.detail)
            postgres, engine = (f"{each.kind} {each.version}" for each in (both.postgres, both.search))
            caveat = f" ({both.search.caveat})" if both.search.caveat else ""
            screen.ended(f"PostgreSQL: {postgres}, {engine}{caveat}")
            ends = {
                "DATABASE_URL": both.postgres.url,
                "ELASTIC_URL": both.search.url,
                "ELASTIC_INDEX": "demo",
            }
            namespace = Namespace(ends, SETTINGS, {}, folder.path)
            screen.step("Documents", "reading the docstrings of Python's standard library")
            docs = data.collect()
            screen.ended(f"{len(docs):,} docstrings of Python's standard library")
            with closing(LabContext(namespace, record, folder.path, Event())) as ctx:
                Story(ctx, screen, docs).tell()
        except OutboxctlError as error:
            if not error.hint and folder.log.exists():
                error.hint = f"the worker's log: {folder.log}"
            raise
        folder.succeeded = not record.unmet
        screen.step("Down", "ending what was started")
    screen.ended("the services have ended, their data is deleted")
    left = sum((both.postgres.running, both.search.running, ctx.worker("w1").running))
    ctx.expect("processes left running", 0, left)
    log = None if folder.succeeded else folder.log
    return DemoReport(record.checks, monotonic() - began, log)


class Story:
    """The steps from rows, made of the texts `docs`, to documents; checks go to the record."""

    def __init__(self, ctx: LabContext, screen: Screen, docs: list[data.Docstring]) -> None:
        self.ctx, self.screen, self.docs, self.worker = ctx, screen, docs, ctx.worker("w1")
        self.index = f"{ctx.settings.elastic_index}-{NAME}s"

    def tell(self) -> None:
        """Do all steps."""
        ctx, step, ended = self.ctx, self.screen.step, self.screen.ended
        step("Schema", "creating the tables and the index")
        done = migrations.upgrade(ctx.database, None)
        ctx.database.renew_connections()
        index_setup.ensure(ctx.client, ctx.settings.elastic_index)
        ended(f"{len(done.added)} tables at revision {done.after}; index {ctx.settings.elastic_index}")
        self.produce()
        self.deliver()
        self.compare()
        self.project()
        step("Worker, stopped", "stopping the worker")
        code = self.worker.stop()
        ctx.expect("exit code of the worker after SIGTERM", 0, code)
        ended(f"SIGTERM, exit code {code}")

    def produce(self) -> None:
        """Write rows and events."""
        self.screen.step("Produce", "writing rows and events")
        for start in range(0, len(self.docs), TRANSACTION):
            some = self.docs[start : start + TRANSACTION]
            self.ctx.write([uuid4() for _ in some], content=[each.content for each in some])
            self.screen.say(f"{self.ctx.written:,} of {len(self.docs):,}")
        self._ended(f"{len(self.docs):,} rows, each with its event in one transaction")

    def deliver(self) -> None:
        """Kill the worker once a quarter is done, while the sink holds its batches; then a bad event."""
        ctx, worker, step = self.ctx, self.worker, self.screen.step
        step("Worker, killed", "waiting for the worker to be in the middle")
        worker.start()
        self.watch(lambda: ctx.counts().done >= len(self.docs) / 4)
        with ctx.proxy.hold("before apply") as gate:
            gate.wait()
            worker.kill()
        processing = ctx.counts().processing
        self._at_least("processing when the worker was killed", 1, processing)
        self._ended(f"SIGKILL while {processing:,} events were processing")
        step("Worker, again", "waiting for leases to end, and for the rest")
        worker.start()
        self.watch(ctx.idle)
        reclaimed = worker.reclaimed()
        self._at_least("reclaimed by the next worker", processing, reclaimed)
        self._ended(f"reclaimed {reclaimed:,} and delivered the rest")
        self.break_one()

    def break_one(self) -> None:
        """Inject an event that no worker can deliver."""
        self.screen.step("Bad op", "injecting an event with an unknown op")
        event = self.ctx.insert(op=BAD_OP)
        self.watch(self.ctx.idle)
        self._ended(f"op {BAD_OP!r} failed for good: {self.ctx.events([event])[0].error_reason}")

    def compare(self) -> None:
        """Search, compare both sides, and plan a replay."""
        ctx, step, ended, total = self.ctx, self.screen.step, self.screen.ended, len(self.docs)
        step("Search", f"searching for {QUERY!r}")
        name = ctx.settings.elastic_index
        indexed, hits = index_setup.count(ctx.client, name), index_setup.search(ctx.client, name, QUERY)
        self._at_least(f"hits for {QUERY!r}", 1, len(hits))
        ended("\n".join([f"{QUERY!r} in {indexed:,} documents:", *hits]))
        step("Compare", "comparing both sides")
        now = ctx.counts()
        ctx.expect("documents in the index", total, indexed)
        ctx.expect("events done", total, now.done)
        ctx.expect("events failed (the bad op)", 1, now.failed)
        ctx.expect("events pending or processing", 0, now.lag)
        ended(f"{total:,} rows written, {now.done:,} events done, {indexed:,} documents in the index")
        step("Replay", "planning a replay")
        plan = ctx.transact(lambda c: selection.plan(c, selection.Selection()))
        ctx.expect("failed events that a replay would take", 1, plan.matched)
        ended(f"dry run: {plan.matched} failed event would go back to pending")

    def project(self) -> None:
        """Documents of the application's own tables: put in force, followed, compared."""
        ctx, step, ended = self.ctx, self.screen.step, self.screen.ended
        step("Your own tables", "creating modules, definitions and members")
        counts = ctx.transact(lambda c: data.create(c, self.docs))
        ended("{:,} modules, {:,} classes and functions, {:,} members, in three tables".format(*counts))
        step("Projection", "putting one SELECT of them in force")
        file, built_in = ctx.folder / "demo.toml", ctx.settings.elastic_index
        file.write_text(data.DECLARATION.format(name=NAME, index=self.index), encoding="utf-8")
        known = declaration.read(file)
        applied = Applying(ctx.database, ctx.client, "demo", "demo", built_in).apply(known)
        self.watch(ctx.idle)
        done = ", ".join(dict.fromkeys(each.what for each in applied.steps[NAME]))
        ended(f"apply made {done}; {counts[1]:,} documents with their nested members delivered")
        self._rename()
        step("Verify", "comparing each document with its row of the SELECT")
        source, reader = (
            DocumentSource(ctx.transact(lambda c: named(c, NAME))),
            Reader(ctx.client, self.index),
        )
        report = survey(Sides(ctx.database, reader, source), limit=0, advance=lambda _: None)
        differences = report.differences + report.in_flight
        ctx.expect("documents of the projection", counts[1], report.documents)
        ctx.expect("documents that differ from their rows", 0, differences)
        ended(f"{report.rows:,} rows, {report.documents:,} documents, {differences} differences")

    def _rename(self) -> None:
        ctx = self.ctx
        self.screen.step("Rename", "changing one row with many documents behind it")
        began = monotonic()
        id_, module, behind = ctx.transact(data.largest)
        renamed = f"{module}_renamed"
        events = ctx.transact(lambda c: data.rename(c, id_, renamed))
        self.watch(ctx.idle)
        seconds = monotonic() - began
        old, followed = (
            index_setup.count(ctx.client, self.index, {"term": {"module": name}})
            for name in (module, renamed)
        )
        ctx.expect("events that the rename wrote", 1, events)
        ctx.expect("documents with the new name", behind, followed)
        ctx.expect("documents with the old name", 0, old)
        written = f"{counted(events, 'event')}, {followed:,} documents in {seconds:.1f} s"
        self.screen.ended(f"module {module} is {renamed} now: {written}")

    def watch(self, until: Callable[[], bool]) -> None:
        """Wait until then. OutboxctlError where the worker ends, or it takes too long."""
        deadline = monotonic() + LONGEST_SECONDS
        while not until():
            now = self.ctx.counts()
            self.screen.say(f"{now.done:,} of {now.total:,}")
            self.worker.must_live()
            if monotonic() > deadline:
                raise OutboxctlError(f"it is not done after {LONGEST_SECONDS:g} s: {asdict(now)}")
            sleep(POLL_SECONDS)

    def _ended(self, text: str) -> None:
        now, names = self.ctx.counts(), ("pending", "processing", "done", "failed")
        self.screen.ended(f"{text}; {', '.join(f'{getattr(now, name):,} {name}' for name in names)}")

    def _at_least(self, name: str, expected: int, seen: int) -> None:
        self.ctx.expect(name, f"at least {expected}", seen, met=seen >= expected)
