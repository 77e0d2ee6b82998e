"""What the labs of projections share: a shop, its projection in force, the comparison at the end."""

from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING, Any

from outboxctl.core.database import Database
from outboxctl.core.operator import shop
from outboxctl.core.stats import by_projection
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.lab import Lab
from outboxctl.operations.projection import apply, declaration
from outboxctl.operations.projection.known import named
from outboxctl.operations.verify.compare import CONNECTIONS
from outboxctl.operations.verify.projected.repair import ProjectedRepair
from outboxctl.operations.verify.projected.survey import Act, ProjectedSurvey
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.scan import Reader

if TYPE_CHECKING:
    from outboxctl.core.stats.by_projection import ProjectionStatus
    from outboxctl.domain.projection import Projection
    from outboxctl.operations.verify.projected.model import ProjectedReport

NAME = "product"
SAME = ("rows of the view, and documents", "视图的行与文档")
AGREES = ("verify: documents that differ", "verify 发现的差异")
PUBLISHED, HIDDEN = 1, 2  # categories


class ProjectionLab(Lab):
    """A lab with a shop beside the outbox, whose products are documents of an index of their own.

    That index is named after the lab's, so whatever removes the one removes the other.
    """

    shop: shop.Shop
    index: str

    def open_shop(self, ctx: LabContext) -> None:
        """Make the shop's tables, with a category that is published and one that is not."""
        self.index = f"{ctx.settings.elastic_index}-{NAME}s"
        self.shop = ctx.transact(shop.Shop.make)
        self.do(ctx, shop.CATEGORY, id=PUBLISHED, name="tea", published=True)
        self.do(ctx, shop.CATEGORY, id=HIDDEN, name="pots", published=False)

    def apply(self, ctx: LabContext) -> None:
        """Put the projection in force; rows that are there already become one event."""
        file = ctx.folder / f"{NAME}.toml"
        text = shop.DECLARATION.format(name=NAME, schema=self.shop.schema, index=self.index)
        file.write_text(text, encoding="utf-8")
        apply.apply(
            ctx.database,
            ctx.client,
            declaration.read(file),
            by="lab",
            reason=self.name,
            built_in=ctx.settings.elastic_index,
        )

    def do(self, ctx: LabContext, statement: str, **values: Any) -> int:
        """Run a statement of the shop in a transaction of its own; returns the number of rows changed."""
        return ctx.transact(lambda connection: self.shop.execute(connection, statement, **values))

    def products(self, ctx: LabContext, first: int, last: int, *, category: int = PUBLISHED) -> None:
        """Insert products with these ids, in euros; one event each once the projection is in force."""
        self.do(ctx, shop.PRODUCTS, first=first, last=last, currency="EUR", category=category)
        ctx.written += last - first + 1

    def status(self, ctx: LabContext) -> "ProjectionStatus":
        """What `status` says of the projection."""
        seconds = ctx.settings.max_processing_seconds
        counted = ctx.transact(lambda c: by_projection.count(c, max_processing=seconds, only=NAME))
        return counted.projections[0]

    def projection(self, ctx: LabContext) -> "Projection":
        """The projection in force."""
        return ctx.transact(lambda connection: named(connection, NAME))

    def compare(self, ctx: LabContext, *, content: bool = True, act: Act | None = None) -> "ProjectedReport":
        """What `verify --projection` finds."""
        with closing(Database(ctx.settings.require_database_url(), connections=CONNECTIONS)) as database:
            reader = Reader(ctx.client, self.index, keys=())
            survey = ProjectedSurvey(database, reader, self.projection(ctx))
            return survey.run(content=content, limit=3, advance=lambda _: None, act=act)

    def repair(self, ctx: LabContext) -> int:
        """What `verify --projection … --repair` does; returns the number of events that it wrote."""
        mender, projection = Mender(ctx.client, self.index), self.projection(ctx)
        repair = ProjectedRepair(ctx.database, mender, projection, by="lab", reason=self.name)
        self.compare(ctx, act=lambda differences: repair.run(differences, stop=Event()))
        ctx.written += repair.done.enqueued
        return repair.done.enqueued

    def expect_agreement(self, ctx: LabContext, *, content: bool = True) -> None:
        """Check that the index holds exactly the rows of the view."""
        report = self.compare(ctx, content=content)
        different = {kind: count for kind, count in report.by_kind.items() if count}
        ctx.expect(AGREES, "none, none in flight", _counted(different, report.in_flight))
        self._expect_the_same(ctx)
        ctx.conclude(("documents compared", "对比的文档"), report.documents)

    def _expect_the_same(self, ctx: LabContext) -> None:
        """Without `verify`: what SELECT has of the view, and what the engine has of each, and how many."""
        rows = ctx.transact(self.shop.documents)
        held = index_setup.sources(ctx.client, self.index, [*rows])
        differ = sum(held[id_] != row for id_, row in rows.items())
        extra = index_setup.count(ctx.client, self.index) - len(rows)
        ctx.expect(SAME, "0 differ, 0 more", f"{differ} differ, {extra} more")


def _counted(different: dict[str, int], in_flight: int) -> str:
    found = ", ".join(f"{count} {kind}" for kind, count in different.items())
    return f"{found or 'none'}, {in_flight or 'none'} in flight"
