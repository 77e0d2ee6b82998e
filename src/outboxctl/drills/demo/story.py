"""The steps of the demo, on a lab's context: each adds checks, and says its result."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from typing import Protocol
from uuid import uuid4

from outboxctl.core.documents.view import ViewSource
from outboxctl.core.operator import selection
from outboxctl.core.schema import migrations
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.drills.demo import documents, tables
from outboxctl.drills.labs.context import LabContext
from outboxctl.operations.projection import apply, declaration
from outboxctl.operations.projection.known import named
from outboxctl.operations.verify.survey import survey
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.scan import Reader

QUERY = "open a file for reading"
BAD_OP = "not-a-real-op"
NAME = "definition"
TRANSACTION = 100  # documents
POLL_SECONDS, LONGEST_SECONDS = 0.02, 120.0


class Screen(Protocol):
    """Shows the steps."""

    def step(self, name: str, doing: str) -> None:
        """A step begins."""

    def say(self, text: str) -> None:
        """How far the step is."""

    def detail(self, text: str) -> None:
        """What the services say while they start and end."""

    def ended(self, text: str) -> None:
        """A step has ended: its result, perhaps of several lines."""


@dataclass
class Renamed:
    """One row with many documents behind it: the transaction that gave `module` the name `renamed`.

    It wrote `events`; `followed` documents had the name `seconds` after the transaction began.
    """

    module: str = ""
    renamed: str = ""
    events: int = 0
    followed: int = 0
    seconds: float = 0.0


class Story:
    """All steps; `docs`, `hits` and `renamed` are their results, checks are in the context's record."""

    def __init__(self, ctx: LabContext, screen: Screen) -> None:
        self.ctx, self.screen, self.worker = ctx, screen, ctx.worker("w1")
        self.index = f"{ctx.settings.elastic_index}-{NAME}s"
        self.docs: list[documents.Docstring] = []
        self.hits: list[index_setup.Hit] = []
        self.renamed = Renamed()

    def play(self) -> None:
        """Run them in order."""
        for name, doing, step in STEPS:
            self.screen.step(name, doing)
            self.screen.ended(step(self))

    def _create(self) -> str:
        done = migrations.upgrade(self.ctx.database, None)
        self.ctx.database.renew_connections()
        name = self.ctx.settings.elastic_index
        index_setup.ensure(self.ctx.client, name)
        return f"{len(done.added)} tables at revision {done.after}; index {name}"

    def _collect(self) -> str:
        self.docs = documents.collect()
        return f"{len(self.docs):,} docstrings of Python's standard library"

    def _write(self) -> str:
        for start in range(0, len(self.docs), TRANSACTION):
            some = self.docs[start : start + TRANSACTION]
            self.ctx.write([uuid4() for _ in some], content=[each.content for each in some])
            self.screen.say(f"{self.ctx.written:,} of {len(self.docs):,}")
        return f"{len(self.docs):,} rows, each with its event in one transaction; {self._counts()}"

    def _kill(self) -> str:
        """Kill the worker once a quarter is done, while the sink holds its batches."""
        self.worker.start()
        self.watch(lambda: self.ctx.counts().done >= len(self.docs) / 4)
        with self.ctx.proxy.hold("before apply") as gate:
            gate.wait()
            self.worker.kill()
        processing = self.ctx.counts().processing
        self._at_least("processing when the worker was killed", 1, processing)
        return f"SIGKILL while {processing:,} events were processing; {self._counts()}"

    def _recover(self) -> str:
        processing = self.ctx.counts().processing
        self.worker.start()
        self.watch(self.ctx.idle)
        reclaimed = self.worker.reclaimed()
        self._at_least("reclaimed by the next worker", processing, reclaimed)
        return f"reclaimed {reclaimed:,} and delivered the rest; {self._counts()}"

    def _break_one(self) -> str:
        event = self.ctx.insert(op=BAD_OP)
        self.watch(self.ctx.idle)
        reason = self.ctx.events([event])[0].error_reason
        return f"op {BAD_OP!r} failed for good: {reason}; {self._counts()}"

    def _search(self) -> str:
        indexed = self._indexed()
        self.hits = index_setup.search(self.ctx.client, self.ctx.settings.elastic_index, QUERY)
        self._at_least(f"hits for {QUERY!r}", 1, len(self.hits))
        return "\n".join([f"{QUERY!r} in {indexed:,} documents:", *(hit.snippet for hit in self.hits)])

    def _compare(self) -> str:
        total, now, indexed = len(self.docs), self.ctx.counts(), self._indexed()
        self.ctx.expect("documents in the index", total, indexed)
        self.ctx.expect("events done", total, now.done)
        self.ctx.expect("events failed (the bad op)", 1, now.failed)
        self.ctx.expect("events pending or processing", 0, now.lag)
        return f"{total:,} rows written, {now.done:,} events done, {indexed:,} documents in the index"

    def _plan_replay(self) -> str:
        plan = self.ctx.transact(lambda c: selection.plan(c, selection.Selection()))
        self.ctx.expect("failed events that a replay would take", 1, plan.matched)
        return f"dry run: {plan.matched} failed event would go back to pending"

    def _own_tables(self) -> str:
        counts = self.ctx.transact(lambda c: tables.create(c, self.docs))
        self.total = counts[1]
        return "{:,} modules, {:,} classes and functions, {:,} members, in three tables".format(*counts)

    def _project(self) -> str:
        ctx, file = self.ctx, self.ctx.folder / "demo.toml"
        file.write_text(tables.DECLARATION.format(name=NAME, index=self.index), encoding="utf-8")
        known, built_in = declaration.read(file), ctx.settings.elastic_index
        applied = apply.apply(ctx.database, ctx.client, known, by="demo", reason="demo", built_in=built_in)
        self.watch(self.ctx.idle)
        done = ", ".join(dict.fromkeys(step.what for step in applied.steps[NAME]))
        return f"apply made {done}; {self.total:,} documents with their nested members delivered"

    def _rename(self) -> str:
        began, shown = monotonic(), self.renamed
        id_, shown.module, behind = self.ctx.transact(tables.largest)
        shown.renamed = f"{shown.module}_renamed"
        shown.events = self.ctx.transact(lambda c: tables.rename(c, id_, shown.renamed))
        self.watch(self.ctx.idle)
        shown.seconds = round(monotonic() - began, 2)
        shown.followed = self._with_module(shown.renamed)
        self.ctx.expect("events that the rename wrote", 1, shown.events)
        self.ctx.expect("documents with the new name", behind, shown.followed)
        self.ctx.expect("documents with the old name", 0, self._with_module(shown.module))
        return (
            f"module {shown.module} is {shown.renamed} now: {counted(shown.events, 'event')}, "
            f"{shown.followed:,} documents in {shown.seconds:.1f} s"
        )

    def _verify(self) -> str:
        source = ViewSource(self.ctx.transact(lambda c: named(c, NAME)))
        reader = Reader(self.ctx.client, self.index)
        report = survey(self.ctx.database, reader, source, content=True, limit=0, advance=lambda _: None)
        differences = report.differences + report.in_flight
        self.ctx.expect("documents of the projection", self.total, report.documents)
        self.ctx.expect("documents that differ from their rows", 0, differences)
        return f"{report.rows:,} rows, {report.documents:,} documents, {differences} differences"

    def _stop(self) -> str:
        code = self.worker.stop()
        self.ctx.expect("exit code of the worker after SIGTERM", 0, code)
        return f"SIGTERM, exit code {code}"

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

    def _counts(self) -> str:
        now = self.ctx.counts()
        return ", ".join(
            f"{getattr(now, name):,} {name}" for name in ("pending", "processing", "done", "failed")
        )

    def _at_least(self, name: str, expected: int, seen: int) -> None:
        self.ctx.expect(name, f"at least {expected}", seen, met=seen >= expected)

    def _indexed(self) -> int:
        """Documents that a search would find now."""
        return index_setup.count(self.ctx.client, self.ctx.settings.elastic_index)

    def _with_module(self, name: str) -> int:
        return index_setup.count(self.ctx.client, self.index, {"term": {"module": name}})


STEPS: tuple[tuple[str, str, Callable[[Story], str]], ...] = (
    ("Schema", "creating the tables and the index", Story._create),
    ("Documents", "reading the docstrings of Python's standard library", Story._collect),
    ("Produce", "writing rows and events", Story._write),
    ("Worker, killed", "waiting for the worker to be in the middle", Story._kill),
    ("Worker, again", "waiting for leases to end, and for the rest", Story._recover),
    ("Bad op", "injecting an event with an unknown op", Story._break_one),
    ("Search", f"searching for {QUERY!r}", Story._search),
    ("Compare", "comparing both sides", Story._compare),
    ("Replay", "planning a replay", Story._plan_replay),
    (
        "Your own tables",
        "creating modules, definitions and members",
        Story._own_tables,
    ),
    ("Projection", "putting one SELECT of them in force", Story._project),
    ("Rename", "changing one row with many documents behind it", Story._rename),
    ("Verify", "comparing each document with its row of the SELECT", Story._verify),
    ("Worker, stopped", "stopping the worker", Story._stop),
)
