"""A row whose document PostgreSQL cannot make."""

from typing import TYPE_CHECKING

from outboxctl.core.operator import moves, selection, shop
from outboxctl.core.operator.selection import Selection
from outboxctl.core.projections import documents
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.context import RECOVERED
from outboxctl.drills.labs.projected import PUBLISHED, ProjectionLab

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

OTHERS, BAD = 40, 1_000
CURRENCY = "XXX"  # of the bad row alone
ATTEMPTS = 3
DUE_SECONDS = 15.0


class ProjectionBadRow(ProjectionLab):
    """The view divides by a rate, and that of one row is 0."""

    name = "projection-bad-row"
    title = BilingualText("A row that the view cannot show", "视图无法生成某一行的文档")
    question = BilingualText(
        "Does one row that makes the view raise an error stop its projection, or fail other documents?",
        "某一行使视图报错时，会堵住整个 projection 或连累其他文档吗？",
    )
    hypothesis = BilingualText(
        "Its event alone fails, at its first attempt, with bad_document and PostgreSQL's words; those in the "
        "same batch are delivered. Once the row is corrected, a replay delivers it.",
        "只有该行的事件在第一次尝试后 failed，error_reason 为 bad_document 并保留 PostgreSQL 原文；"
        "同批其他文档正常投递。修复该行后，replay 即可投递。",
    )
    settings = {
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_MAX_ATTEMPTS": str(ATTEMPTS),
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
    }
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl projection list  # one whose view divides by a column, say",
        'psql "$DATABASE_URL" -c "UPDATE …"  # set that column of one row to 0',
        "outboxctl worker --drain",
        "outboxctl failed list --projection NAME  # bad_document: division by zero",
        'outboxctl replay --by alice --reason "row corrected" --limit 10  # once the row is corrected',
        "outboxctl verify --projection NAME",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Put a projection in force, write rows and start one worker."""
        self.open_shop(ctx)
        self.apply(ctx)
        self.products(ctx, 1, self.events)
        ctx.worker("w1").start()

    def inject(self, ctx: LabContext) -> None:
        """Write one row among others that divides by zero."""
        ctx.fault("a row that is divided by zero", lambda: self._write(ctx), lambda: self._set_rate(ctx))
        self.words = ctx.confirm(
            ("PostgreSQL cannot make its document", "PostgreSQL 无法生成其文档"), lambda: self._raised(ctx)
        )

    def observe(self, ctx: LabContext) -> None:
        """Its event alone fails, with PostgreSQL's words."""
        ctx.expect_soon(RECOVERED, ctx.idle, within=DUE_SECONDS)
        counts = ctx.expect_counts(failed=1, done=ctx.written - 1, attempts_most=1)
        failed = [event for event in ctx.events() if event.status == "failed"]
        keys = ", ".join(str(event.entity_key) for event in failed)
        ctx.expect(("keys of failed events", "failed 事件的键"), str(BAD), keys)
        reasons = {event.error_reason for event in failed}
        ctx.expect(("their reasons", "其 error_reason"), "bad_document", ", ".join(map(str, reasons)))
        error = failed[0].error if failed else None
        words = ("its error has PostgreSQL's words", "error 保留 PostgreSQL 原文")
        ctx.expect(words, self.words, error, met=self.words in (error or ""))
        ctx.conclude(("other events of the batch done", "同批 done 事件数"), counts.done - self.events)

    def recover(self, ctx: LabContext) -> None:
        """The row is corrected: replay its event."""
        plan = ctx.transact(lambda c: selection.plan(c, Selection(limit=100)))
        ctx.transact(lambda c: moves.replay(c, plan, by="lab", reason="the row is corrected"))
        ctx.log(f"replayed {len(plan.ids)} events as lab: the row is corrected")
        ctx.expect_recovered(within=DUE_SECONDS)

    def check(self, ctx: LabContext) -> None:
        """It is delivered too: the index holds the rows of the view."""
        ctx.expect_counts(failed=0, done=ctx.written)
        self.expect_agreement(ctx)
        ctx.conclude(("PostgreSQL's words", "PostgreSQL 原文"), self.words)

    def _write(self, ctx: LabContext) -> None:
        """The bad row and the others, in one transaction."""

        def together(connection: "Connection") -> None:
            self.shop.execute(connection, shop.RATE, currency=CURRENCY, rate=0)
            for first, last, currency in ((BAD, BAD, CURRENCY), (BAD + 1, BAD + OTHERS, "EUR")):
                values = {"first": first, "last": last, "currency": currency, "category": PUBLISHED}
                self.shop.execute(connection, shop.PRODUCTS, **values)

        ctx.transact(together)
        ctx.written += 1 + OTHERS

    def _set_rate(self, ctx: LabContext) -> None:
        """Rates are ignored by the projection: no event of this change delivers the row."""
        self.do(ctx, shop.RATE, currency=CURRENCY, rate=2)

    def _raised(self, ctx: LabContext) -> str:
        """PostgreSQL's words where it cannot make the document of the bad row."""
        projection = self.projection(ctx)
        try:
            ctx.transact(lambda c: documents.read(c, projection, [str(BAD)], seconds=DUE_SECONDS))
        except ReadRefusedError as error:
            return error.words
        return ""
