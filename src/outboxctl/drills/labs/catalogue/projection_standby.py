"""A standby that lagged takes the primary's place."""

from outboxctl.core.operator import shop
from outboxctl.core.projections.version_base import STEP
from outboxctl.drills.labs import BilingualText, LabContext, Need
from outboxctl.drills.labs.projected import PUBLISHED, ProjectionLab
from outboxctl.drills.services import standby
from outboxctl.sink.index import index_setup

KEPT, LOST = 20, 100  # rows that both servers have, transactions that the standby never gets
CHANGED, DELETED, ADDED, NEW = (1, 5), 6, (101, 105), 200  # ids
RAISED = "outbox_version_base_raised_total"
DUE_SECONDS = 20.0


class ProjectionStandby(ProjectionLab):
    """The primary is killed, and a standby without its newest transactions is promoted in its place."""

    name = "projection-standby"
    title = BilingualText("A standby that lagged is promoted", "落后的备库被提升为主库")
    question = BilingualText(
        "Versions count transactions, and the new primary counted fewer: is what it sends refused as old?",
        "版本来自事务计数，而新主库的计数更小：它发送的文档会被当作旧版本拒绝吗？",
    )
    hypothesis = BilingualText(
        "The worker detects the other timeline and raises all versions before it sends anything. What "
        "changes now overwrites what the old primary had sent, and verify --repair corrects the rest.",
        "worker 察觉时间线变化，在发送任何文档之前提升全部版本；新的变更覆盖旧主库发送的内容，"
        "其余由 verify --repair 修复。",
    )
    needs = frozenset({Need.OWN_DATABASE})
    settings = {
        "OUTBOX_LEASE_SECONDS": "5",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
    }
    events = KEPT
    seconds = 12.0
    by_hand = (
        "outboxctl worker &",
        'psql "$DATABASE_URL" -c "UPDATE …"  # what the standby does not get',
        "pg_ctl promote -D STANDBY  # the primary is gone, DATABASE_URL leads to the standby",
        "curl -s localhost:9108/metrics | grep outbox_version_base_raised_total",
        'outboxctl verify --projection NAME --repair --by alice --reason "a failover"',
        "outboxctl verify --projection NAME",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Put a projection in force, write rows and start one worker."""
        self.open_shop(ctx)
        self.apply(ctx)
        self.products(ctx, 1, KEPT)
        ctx.worker("w1").start()

    def inject(self, ctx: LabContext) -> None:
        """Deliver what a standby never gets, then promote it."""
        own = ctx.namespace.own
        assert own  # noqa: S101 - for mypy: the lab needs it
        copied = ctx.fault("a standby that receives nothing more", lambda: standby.copy(own))
        made = ("a standby was made (not of a server in a container)", "已建立备库（容器内的服务器除外）")
        ctx.confirm(made, lambda: copied, within=0)
        self._lose(ctx)
        before = ctx.transact(shop.serial)
        ctx.fault("the primary is killed, and the standby promoted", lambda: standby.promote(own))
        ctx.database.renew_connections()
        fewer = ("it has finished fewer transactions than the old one", "其完成的事务数少于旧主库")
        ctx.confirm(fewer, lambda: ctx.transact(shop.serial) < before - LOST / 2, within=5)

    def observe(self, ctx: LabContext) -> None:
        """Write to the new primary: it overwrites the old one's documents."""
        first, last = CHANGED
        self.do(ctx, shop.RENAME, name="changed again", first=first, last=last)
        ctx.written += last - first + 1
        self.products(ctx, NEW, NEW)
        overwritten = ("what changes now is delivered", "新的变更已投递")
        ctx.expect_soon(overwritten, ctx.idle, within=DUE_SECONDS)
        ids = [str(id_) for id_ in (*range(first, last + 1), NEW)]
        versions = index_setup.versions(ctx.client, self.index, ids).values()
        raised = ("the lowest version that was sent since", "此后发送的最低版本")
        lowest = min(version or 0 for version in versions)
        ctx.expect(raised, f"at least {STEP}", lowest, met=lowest >= STEP)

    def recover(self, ctx: LabContext) -> None:
        """Repair what is not written again: verify --repair."""
        ctx.conclude(("documents repaired", "repair 修复的文档"), self.repair(ctx))
        ctx.expect_recovered(within=DUE_SECONDS)

    def check(self, ctx: LabContext) -> None:
        """Raised once, and the index holds the rows of the new primary."""
        ctx.expect(("times that versions were raised", "版本提升次数"), 1, int(ctx.metric(RAISED)))
        ctx.expect_counts(failed=0, done=ctx.written)
        self.expect_agreement(ctx)
        ctx.conclude(("transactions lost", "丢失的事务"), LOST)

    def _lose(self, ctx: LabContext) -> None:
        """Transactions of the old primary alone, and their documents."""
        for number in range(LOST):
            self.do(ctx, shop.RENAME, name=f"lost {number}", first=CHANGED[0], last=CHANGED[0])
        self.do(ctx, shop.RENAME, name="lost", first=CHANGED[0], last=CHANGED[1])
        self.do(ctx, shop.RENAME, name="lost", first=KEPT, last=KEPT)
        self.do(ctx, shop.DELETE_PRODUCT, id=DELETED)
        kept = ctx.written
        self.products(ctx, *ADDED, category=PUBLISHED)
        ctx.written = kept
        ctx.wait(ctx.idle, within=DUE_SECONDS)
        ids = [str(ADDED[0]), str(DELETED)]
        there = index_setup.versions(ctx.client, self.index, ids)
        sent = ("its documents were sent", "旧主库的文档已发送")
        ctx.confirm(sent, lambda: there[ids[0]] is not None and there[ids[1]] is None, within=0)
