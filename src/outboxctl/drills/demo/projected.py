"""The demo's second part: documents of an application's own tables, by a projection."""

from contextlib import closing
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.domain.printable import counted
from outboxctl.drills.demo import tables
from outboxctl.drills.demo.documents import Docstring
from outboxctl.drills.demo.report import DemoProjection
from outboxctl.drills.demo.system import Stage
from outboxctl.operations.projection import apply, declaration
from outboxctl.operations.projection.known import named
from outboxctl.operations.verify.compare import CONNECTIONS
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.survey import survey
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
    """The steps on a system where a worker runs; `shown` is their result."""

    def __init__(self, steps: Stage) -> None:
        self._steps, self._system, self._screen = steps, steps.system, steps.screen
        self.index = f"{self._system.settings.elastic_index}-{NAME}s"
        self.shown = DemoProjection(NAME, self.index)

    def play(self, documents: list[Docstring]) -> None:
        """Run all of them, in order."""
        total = self._create(documents)
        self._apply(total)
        self._rename()
        self._search(total)
        self._verify(total)

    def _create(self, documents: list[Docstring]) -> int:
        """Make the tables; the number of definitions, each of which is a document."""
        doing = "creating modules, definitions and members, as an application does"
        self._screen.step("Your own tables", doing)
        own = tables.rows(documents)
        with self._system.database.begin() as connection:
            tables.create(connection, own)
        self._screen.ended(
            f"{len(own.modules):,} modules, {len(own.definitions):,} classes and functions, "
            f"{len(own.members):,} members of classes, in three tables"
        )
        return len(own.definitions)

    def _apply(self, total: int) -> None:
        self._screen.step("Projection", "putting one SELECT of them in force")
        file = self._system.folder / FILE
        file.write_text(DECLARATION.format(name=NAME, index=self.index), encoding="utf-8")
        applied = apply.apply(
            self._system.database,
            self._system.client,
            declaration.read(file),
            by="demo",
            reason="demo",
            built_in=self._system.settings.elastic_index,
        )
        self._steps.written += 1 + total
        now = self._steps.watch(lambda now: now.lag == 0)
        done = ", ".join(dict.fromkeys(step.what for step in applied.steps[NAME]))
        self._screen.ended(f"apply made {done}; {total:,} documents with their nested members delivered", now)

    def _rename(self) -> None:
        self._screen.step("Rename", "changing one row with many documents behind it")
        began, shown = monotonic(), self.shown
        with self._system.database.begin() as connection:
            module = tables.largest(connection)
            shown.module, shown.renamed = module.name, f"{module.name}_renamed"
            shown.events = tables.rename(connection, module, shown.renamed)
        self._steps.written += shown.events + module.definitions
        self._steps.watch(lambda now: now.lag == 0)
        shown.seconds, shown.followed = round(monotonic() - began, 2), self._with_module(shown.renamed)
        self._steps.check("events that the rename wrote", shown.events, 1)
        self._steps.check("documents with the new name", shown.followed, module.definitions)
        self._steps.check("documents with the old name", self._with_module(module.name), 0)
        self._screen.ended(
            f"module {module.name} is {shown.renamed} now: {counted(shown.events, 'event')}, "
            f"{shown.followed:,} documents in {shown.seconds:.1f} s"
        )

    def _search(self, total: int) -> None:
        query = self.shown.query = self.shown.renamed
        self._screen.step("Search again", f"searching for {query!r}")
        hits = self.shown.hits = tuple(index_setup.search(self._system.client, self.index, query, size=HITS))
        self._steps.check("hits that show the new name", sum(query in hit.snippet for hit in hits), HITS)
        self._screen.ended(f"{query!r} in {total:,} documents:", hits=hits)

    def _verify(self, total: int) -> None:
        self._screen.step("Verify", "comparing each document with its row of the SELECT")
        report = self._report()
        differences = report.differences + report.in_flight
        self._steps.check("rows of the projection", report.rows, total)
        self._steps.check("documents of the projection", report.documents, total)
        self._steps.check("documents that differ from their rows", differences, 0)
        self._screen.ended(f"{report.rows:,} rows, {report.documents:,} documents, {differences} differences")

    def _with_module(self, name: str) -> int:
        return index_setup.count(self._system.client, self.index, {"term": {"module": name}})

    def _report(self) -> VerifyReport:
        url = self._system.settings.require_database_url()
        with closing(Database(url, connections=CONNECTIONS)) as database:
            with database.begin() as connection:
                projection = named(connection, NAME)
            reader = Reader(self._system.client, self.index)
            return survey(database, reader, projection, content=True, limit=0, advance=lambda _: None)
