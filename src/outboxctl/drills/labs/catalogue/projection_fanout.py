"""One row with many documents behind it."""

from time import monotonic

from outboxctl.core.operator import shop
from outboxctl.core.projections.follow_pages import PAGE
from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.projected import HIDDEN, NAME, PUBLISHED, ProjectionLab
from outboxctl.sink.index import index_setup

# Four pages: a kill after the first leaves three. 100,000 show nothing more, and take minutes on two cores
# with much else to do.
DOCUMENTS = 8_000
FRESH = DOCUMENTS + 1  # the product that somebody else writes meanwhile
BATCH, LANES = 500, 1
# Before a fresh event: the page that is there, what lanes had claimed, and what they have claimed since.
MOST_BEFORE = PAGE + 2 * BATCH * LANES
WRITER_SECONDS = 0.25  # of a machine with much else to do; an event a document would take seconds
DUE_SECONDS = 60.0


class ProjectionFanout(ProjectionLab):
    """A category with all products is published, and the worker is killed while it expands the change."""

    name = "projection-fanout"
    title = BilingualText("One row, many documents", "一行变更，八千文档")
    question = BilingualText(
        "What does a change with 8,000 documents behind it cost the writer, other events, and the worker?",
        "一行变更涉及八千文档时，代价由谁承担：写入者、其他事件，还是 worker？",
    )
    hypothesis = BilingualText(
        "The writer inserts one event. The worker expands it in pages, status shows the progress, a kill in "
        "the middle loses nothing, and a fresh event of another row waits for one page at most.",
        "写入者只写一个事件；worker 分页展开，status 显示进度；中途被 kill 不丢失，其他新事件最多等待一页。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": str(LANES),
    }
    events = 1  # that of `apply`
    seconds = 18.0
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
        self.open_shop(ctx)
        self.do(ctx, shop.PRODUCTS, first=1, last=DOCUMENTS, currency="EUR", category=HIDDEN)
        self.apply(ctx)
        ctx.written = self.events
        ctx.worker("w1").start()

    def inject(self, ctx: LabContext) -> None:
        """Publish the category, in one short transaction."""
        self.took = ctx.fault(
            f"a row with {DOCUMENTS} documents behind it changes", lambda: _timed(self, ctx)
        )
        began = ("the worker expands the change", "worker 开始展开变更")
        ctx.confirm(began, lambda: ctx.counts().total > ctx.written + 1)
        ctx.written += 1 + DOCUMENTS

    def observe(self, ctx: LabContext) -> None:
        """Kill the worker in the middle, write another row, go on."""
        shown = ("status shows the progress", "status 显示进度")
        ctx.expect_soon(shown, lambda: self._keys_done(ctx) >= PAGE, unless=ctx.idle)
        worker = ctx.worker("w1")
        ctx.fault("SIGKILL to worker w1", worker.kill)
        killed = ("the worker was killed in the middle", "worker 在中途被 kill")
        ctx.confirm(killed, lambda: not worker.running and self.status(ctx).following, within=2)
        self.left = DOCUMENTS - self._keys_done(ctx)
        self.products(ctx, FRESH, FRESH, category=PUBLISHED)
        worker.start()
        delivered = ("a fresh event of another row is delivered", "另一行的新事件已投递")
        ctx.expect_soon(delivered, lambda: self._fresh(ctx), within=DUE_SECONDS)

    def recover(self, ctx: LabContext) -> None:
        """Wait until all documents are delivered."""
        ctx.expect_recovered(within=DUE_SECONDS)

    def check(self, ctx: LabContext) -> None:
        """Short for the writer, one page for others, and nothing is lost."""
        seconds = round(self.took or 0, 3)
        short = ("seconds of the writer's transaction", "写入事务耗时（秒）")
        ctx.expect(short, f"below {WRITER_SECONDS}", seconds, met=seconds < WRITER_SECONDS)
        before = ctx.transact(lambda c: shop.sent_before(c, NAME, str(FRESH)))
        waited = ("documents sent before the fresh one", "新事件之前发送的文档数")
        ctx.expect(waited, f"at most {MOST_BEFORE}", before, met=before <= MOST_BEFORE)
        ctx.expect_counts(done=ctx.written, failed=0)
        self.expect_agreement(ctx, content=False)
        ctx.conclude(("documents left at the kill", "kill 时剩余的文档"), self.left)
        ctx.conclude(("writer's transaction", "写入事务"), f"{1_000 * seconds:.1f} ms")

    def _keys_done(self, ctx: LabContext) -> int:
        """How many of the documents `status` says have an event by now."""
        return sum(each.keys_done for each in self.status(ctx).following)

    def _fresh(self, ctx: LabContext) -> bool:
        return index_setup.versions(ctx.client, self.index, [str(FRESH)])[str(FRESH)] is not None


def _timed(lab: ProjectionFanout, ctx: LabContext) -> float:
    """Publish the category; returns the seconds of the transaction, over a connection that is open."""
    began = monotonic()
    lab.do(ctx, shop.CATEGORY, id=HIDDEN, name="pots", published=True)
    return monotonic() - began
