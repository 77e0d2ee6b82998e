"""One row with many documents behind it."""

from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.core.projections.follow_pages import PAGE
from outboxctl.core.stats import by_projection
from outboxctl.drills.labs import CHECK, OBSERVE, RECOVER, Lab, LabContext, Steps, shop
from outboxctl.drills.labs.shop import HIDDEN, NAME, PUBLISHED
from outboxctl.operations.projection import declaration
from outboxctl.operations.projection.apply import Applying
from outboxctl.sink.index import document, index_setup

if TYPE_CHECKING:
    from outboxctl.core.stats.by_projection import ProjectionStatus

# Four pages: a kill after the first leaves three. 100,000 show nothing more, and take minutes on two cores
# with much else to do.
DOCUMENTS = 8_000
FRESH = DOCUMENTS + 1  # the product that somebody else writes meanwhile
BATCH, LANES = 500, 1
# Before a fresh event: the page that is there, what lanes had claimed, and what they have claimed since.
MOST_BEFORE = PAGE + 2 * BATCH * LANES
WRITER_SECONDS = 0.25  # of a machine with much else to do; an event a document would take seconds
DUE_SECONDS = 60.0


class ProjectionFanout(Lab):
    """A category with all products is published, and the worker is killed while it expands the change."""

    name = "projection-fanout"
    title = "One row, many documents"
    question = (
        "What does a change with 8,000 documents behind it cost the writer, other events, and the worker?"
    )
    hypothesis = (
        "The writer inserts one event. The worker expands it in pages, status shows the progress, a kill in "
        "the middle loses nothing, and a fresh event of another row waits for one page at most."
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "8",  # of a machine with much else to do: a request may take 6 s
        "OUTBOX_MAX_BACKOFF_SECONDS": "2",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": str(LANES),
    }
    events = 1  # that of `apply`
    seconds = 22.0
    by_hand = (
        "outboxctl projection plan products.toml  # most documents behind one row",
        "outboxctl worker &",
        'psql "$DATABASE_URL" -c "UPDATE …"  # the row with the most documents',
        "outboxctl status --watch 1  # following …: 4,000 documents found so far",
        "kill -9 %1; outboxctl worker --drain",
        "outboxctl verify --projection NAME",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Write a hidden category with all products; start a worker."""
        self.index = f"{ctx.settings.elastic_index}-{NAME}s"
        ctx.transact(shop.make)
        _add_products(ctx, 1, DOCUMENTS, HIDDEN)
        self._apply(ctx)
        ctx.written = self.events
        ctx.worker("w1").start()

    def experiment(self, ctx: LabContext) -> Steps:
        """Publish the category, in one short transaction; kill the worker in the middle."""
        took = ctx.fault(f"a row with {DOCUMENTS} documents behind it changes", lambda: _publish(ctx))
        ctx.confirm("the worker expands the change", lambda: ctx.counts().total > ctx.written + 1)
        yield OBSERVE
        ctx.expect_soon("status shows the progress", lambda: _keys_done(ctx) >= PAGE, unless=ctx.idle)
        worker = ctx.worker("w1")
        ctx.fault("SIGKILL to worker w1", worker.kill)
        killed = "the worker was killed in the middle"
        ctx.confirm(killed, lambda: not worker.running and _status(ctx).following, within=2)
        _add_products(ctx, FRESH, FRESH, PUBLISHED)
        worker.start()
        delivered, fresh = "a fresh event of another row is delivered", str(FRESH)
        ctx.expect_soon(delivered, lambda: _indexed(ctx, self.index, fresh), within=DUE_SECONDS)
        yield RECOVER
        ctx.expect_recovered(within=DUE_SECONDS)
        yield CHECK
        ctx.written = ctx.counts().total  # documents that are sent together have one event
        short, seconds = "seconds of the writer's transaction", round(took, 3)
        ctx.expect(short, f"below {WRITER_SECONDS}", seconds, met=seconds < WRITER_SECONDS)
        before = ctx.transact(lambda c: shop.sent_before(c, fresh))
        waited = "documents sent before the fresh one"
        ctx.expect(waited, f"at most {MOST_BEFORE}", before, met=before <= MOST_BEFORE)
        ctx.expect_counts(done=ctx.written, failed=0)
        self._expect_agreement(ctx)

    def _apply(self, ctx: LabContext) -> None:
        """Put the projection in force; the rows that are there become one event."""
        file = ctx.folder / f"{NAME}.toml"
        file.write_text(ctx.transact(lambda c: shop.declaration(c, self.index)), encoding="utf-8")
        declared = declaration.read(file)
        built_in = ctx.settings.elastic_index
        Applying(ctx.database, ctx.client, "lab", self.name, built_in).apply(declared)

    def _expect_agreement(self, ctx: LabContext) -> None:
        """Check that the index holds exactly the rows of the view."""
        rows = ctx.transact(shop.documents)
        held = document.by_id(ctx.client, self.index, [*rows])
        differ = sum(held.get(id_, {}).get("_source") != row for id_, row in rows.items())
        extra = index_setup.count(ctx.client, self.index) - len(rows)
        ctx.expect("rows of the view, and documents", "0 differ, 0 more", f"{differ} differ, {extra} more")


def _add_products(ctx: LabContext, first: int, last: int, category: int) -> None:
    """Insert products with these ids; one event each once the projection is in force."""
    ctx.transact(lambda c: shop.execute(c, shop.PRODUCTS, first=first, last=last, category=category))


def _publish(ctx: LabContext) -> float:
    """Publish the category; returns the seconds of the transaction, over a connection that is open."""
    began = monotonic()
    ctx.transact(lambda c: shop.execute(c, shop.PUBLISH, category=HIDDEN))
    return monotonic() - began


def _indexed(ctx: LabContext, index: str, id_: str) -> bool:
    return document.versions(ctx.client, index, [id_])[id_] is not None


def _status(ctx: LabContext) -> "ProjectionStatus":
    """What `status` says of the projection."""
    seconds = ctx.settings.max_processing_seconds
    return ctx.transact(lambda c: by_projection.count(c, max_processing=seconds, only=NAME)).projections[0]


def _keys_done(ctx: LabContext) -> int:
    """How many of the documents `status` says have an event by now."""
    return sum(each.keys_done for each in _status(ctx).following)
