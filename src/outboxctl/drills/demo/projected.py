"""The demo's second part: documents of an application's own tables, by a projection."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.drills.demo import tables
from outboxctl.drills.demo.documents import Docstring
from outboxctl.drills.demo.report import DemoProjection, DemoStep, Event, StepOutput
from outboxctl.drills.demo.stage import Stage
from outboxctl.operations.projection import apply, declaration
from outboxctl.operations.projection.known import named
from outboxctl.operations.verify.compare import CONNECTIONS
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.projected.survey import ProjectedSurvey
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.scan import Reader

NAME = "definition"
FILE = "demo.toml"
HITS = 3
DECLARATION = """\
[projections.{name}]
root = "demo.definitions"
key = "id"
index = "{index}"
query = '''
SELECT d.id, m.name AS module, d.name, d.text,
    concat(d.name, ' of ', m.name, nullif(': ' || d.summary, ': ')) AS snippet,
    (SELECT jsonb_agg(jsonb_build_object('name', s.name, 'text', s.text) ORDER BY s.name)
        FROM demo.members s WHERE s.definition_id = d.id) AS members
FROM demo.definitions d JOIN demo.modules m ON m.id = d.module_id
'''
mapping = '''
{{"mappings": {{"properties": {{
    "module": {{"type": "keyword"}},
    "members": {{"properties": {{"name": {{"type": "keyword"}}, "text": {{"type": "text"}}}}}}}}}}}}
'''
"""


class ProjectionSteps:
    """The steps on a stage where a worker runs; `shown` is their result."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.system = stage, stage.system
        self.index = f"{self.system.settings.elastic_index}-{NAME}s"
        self.own = tables.OwnRows()
        self.shown = DemoProjection(NAME, self.index)

    def play(self, documents: list[Docstring]) -> Iterator[Event]:
        """Run all of them, in order."""
        yield from self._create(documents)
        yield from self._apply()
        yield from self._rename()
        yield from self._search()
        yield from self._verify()

    def _create(self, documents: list[Docstring]) -> Iterator[Event]:
        yield DemoStep("Your own tables", "creating modules, definitions and members, as an application does")
        self.own = tables.rows(documents)
        with self.system.database.begin() as connection:
            tables.create(connection, self.own)
        yield StepOutput(
            f"{len(self.own.modules):,} modules, {len(self.own.definitions):,} classes and functions, "
            f"{len(self.own.members):,} members of classes, in three tables"
        )

    def _apply(self) -> Iterator[Event]:
        yield DemoStep("Projection", "putting one SELECT of them in force")
        file, total = self.system.folder / FILE, len(self.own.definitions)
        file.write_text(DECLARATION.format(name=NAME, index=self.index), encoding="utf-8")
        applied = apply.apply(
            self.system.database,
            self.system.client,
            declaration.read(file),
            by="demo",
            reason="demo",
            built_in=self.system.settings.elastic_index,
        )
        self.stage.written += 1 + total
        now = yield from self.stage.watch(lambda now: now.lag == 0)
        done = ", ".join(dict.fromkeys(step.what for step in applied.steps[NAME]))
        yield StepOutput(f"apply made {done}; {total:,} documents with their nested members delivered", now)

    def _rename(self) -> Iterator[Event]:
        yield DemoStep("Rename", "changing one row with many documents behind it")
        began = monotonic()
        with self.system.database.begin() as connection:
            module = tables.largest(connection)
            new = f"{module.name}_renamed"
            events = tables.rename(connection, module, new)
        self.stage.written += events + module.definitions
        yield from self.stage.watch(lambda now: now.lag == 0)
        seconds, found = round(monotonic() - began, 2), self._with_module(new)
        self.shown = DemoProjection(NAME, self.index, module.name, new, events, found, seconds)
        self.stage.check("events that the rename wrote", events, 1)
        self.stage.check("documents with the new name", found, module.definitions)
        self.stage.check("documents with the old name", self._with_module(module.name), 0)
        wrote = f"{events} event{'s' * (events != 1)}"
        yield StepOutput(
            f"module {module.name} is {new} now: {wrote}, {found:,} documents in {seconds:.1f} s"
        )

    def _search(self) -> Iterator[Event]:
        query, total = self.shown.renamed, len(self.own.definitions)
        yield DemoStep("Search again", f"searching for {query!r}")
        hits = tuple(index_setup.search(self.system.client, self.index, query, size=HITS))
        self.shown = replace(self.shown, query=query, hits=hits)
        self.stage.check("hits that show the new name", sum(query in hit.snippet for hit in hits), HITS)
        yield StepOutput(f"{query!r} in {total:,} documents:", hits=hits)

    def _verify(self) -> Iterator[Event]:
        yield DemoStep("Verify", "comparing each document with its row of the SELECT")
        report, total = self._report(), len(self.own.definitions)
        differences = report.differences + report.in_flight
        self.stage.check("rows of the projection", report.rows, total)
        self.stage.check("documents of the projection", report.documents, total)
        self.stage.check("documents that differ from their rows", differences, 0)
        yield StepOutput(f"{report.rows:,} rows, {report.documents:,} documents, {differences} differences")

    def _with_module(self, name: str) -> int:
        return index_setup.count(self.system.client, self.index, {"term": {"module": name}})

    def _report(self) -> VerifyReport:
        url = self.system.settings.require_database_url()
        with closing(Database(url, connections=CONNECTIONS)) as database:
            with database.begin() as connection:
                projection = named(connection, NAME)
            survey = ProjectedSurvey(database, Reader(self.system.client, self.index), projection)
            return survey.run(content=True, limit=0, advance=lambda _: None)
