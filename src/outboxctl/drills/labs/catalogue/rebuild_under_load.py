"""The index is rebuilt while an application writes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.operator.rebuilds import RebuildPhase
from outboxctl.core.stats import drill_snapshot
from outboxctl.drills.labs import CHECK, Lab, LabContext, Steps
from outboxctl.operations.rebuild.model import RebuildReport, Tools
from outboxctl.operations.rebuild.plan import plan
from outboxctl.operations.rebuild.run import alone, apply
from outboxctl.sink.index import index_setup, scanned

CONNECTIONS = 6  # of a rebuild: the lock's, the row's, one to read with, and three of the comparison
ROUNDS_AFTER = 5  # of writing once the rebuild has ended


class RebuildUnderLoad(Lab):
    """`rebuild` beside a worker, while rows are inserted, updated and deleted."""

    name = "rebuild-under-load"
    title = "A rebuild loses nothing that is written meanwhile"
    question = "Does the new index hold what was inserted, changed and deleted while it was built?"
    hypothesis = "The alias is moved atomically, and rows and documents agree afterwards."
    settings = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}
    events = 300
    seconds = 15.0
    by_hand = (
        "outboxctl inject load --scenario mixed --total 20000 --rate 500 &",
        "outboxctl rebuild --yes",
        "outboxctl verify",
    )

    def experiment(self, ctx: LabContext) -> Steps:
        """Rebuild, and write from before it until after it."""
        before = ctx.written
        outcome = ctx.fault("rebuild under load", lambda: self._rebuild(ctx))
        ctx.confirm("events were written meanwhile", lambda: outcome and ctx.written > before, within=0)
        yield CHECK
        ended = outcome.row.phase if isinstance(outcome, RebuildReport) else outcome
        ctx.expect("how the rebuild ended", RebuildPhase.DONE.value, ended)
        # Without `verify`, which a rebuild uses itself: the rows as SELECT has them, and their documents.
        rows, name = ctx.transact(drill_snapshot.rows), ctx.settings.elastic_index
        held = scanned.versions(ctx.client, name, [*rows]) if rows else {}
        differ = [id_ for id_, version in rows.items() if held[id_] != version]
        ctx.expect("rows without their document", 0, len(differ))
        ctx.expect("documents, as many as rows", len(rows), index_setup.count(ctx.client, name))
        ctx.expect_counts(failed=0)

    def _rebuild(self, ctx: LabContext) -> RebuildReport | str:
        """Rebuild in a thread of its own, and write in this one; the error of a rebuild that fails."""
        stop, rounds = Event(), count()
        with ThreadPoolExecutor(1) as pool:
            rebuild = pool.submit(_rebuilt, ctx, stop)
            try:
                while not rebuild.done():
                    self._write(ctx, next(rounds))
            finally:
                stop.set()
        for _ in range(ROUNDS_AFTER):
            self._write(ctx, next(rounds))
        error = rebuild.exception()
        return f"{type(error).__name__}: {error}" if error else rebuild.result()

    def _write(self, ctx: LabContext, number: int) -> None:
        """Insert rows, update some and delete one, as long as there are old ones."""
        ctx.load(5)
        ctx.write(self.entities[number:][:10])
        ctx.delete(self.entities[number:][:1])
        ctx.pause(0.1)


def _rebuilt(ctx: LabContext, stop: Event) -> RebuildReport:
    name = ctx.settings.elastic_index
    own = Database(ctx.settings.require_database_url(), connections=CONNECTIONS)
    with closing(own) as database, alone(database, name) as held:
        with database.begin() as connection:
            planned = plan(connection, ctx.client, name)
        tools = Tools(database, ctx.client, held, stop, say=ctx.log)
        return apply(tools, planned, by="lab", reason=ctx.record.lab, grace_seconds=0)
