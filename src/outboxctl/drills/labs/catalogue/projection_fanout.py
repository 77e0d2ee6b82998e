"""One row with many documents behind it: products in categories, which may be hidden."""

import json
from time import monotonic
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL, Identifier

from outboxctl.core.projections.changes import outbox_schema
from outboxctl.core.projections.follow_pages import PAGE
from outboxctl.core.stats import by_projection
from outboxctl.drills.labs import CHECK, OBSERVE, RECOVER, Lab, LabContext, Steps
from outboxctl.operations.projection import declaration
from outboxctl.operations.projection.apply import Applying
from outboxctl.sink.index import index_setup, scanned

if TYPE_CHECKING:
    from outboxctl.core.sql import Connection
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
NAME = "product"
TABLES = """
CREATE TABLE {schema}.shop_categories (id int PRIMARY KEY, name text NOT NULL, published boolean NOT NULL);
CREATE TABLE {schema}.shop_products (
    id int PRIMARY KEY, name text NOT NULL, category_id int NOT NULL REFERENCES {schema}.shop_categories
);
CREATE INDEX ON {schema}.shop_products (category_id, id);
CREATE VIEW {schema}.shop_documents AS
SELECT p.id, p.name, c.name AS category
FROM {schema}.shop_products p JOIN {schema}.shop_categories c ON c.id = p.category_id
WHERE c.published;
INSERT INTO {schema}.shop_categories VALUES (1, 'tea', true), (2, 'pots', false);
"""
PUBLISHED, HIDDEN = 1, 2  # categories
PUBLISH = "UPDATE {schema}.shop_categories SET published = true WHERE id = %(category)s"
PRODUCTS = """
INSERT INTO {schema}.shop_products SELECT n, concat('product ', n), %(category)s
FROM generate_series(CAST(%(first)s AS int), CAST(%(last)s AS int)) n
"""
ROWS = "SELECT CAST(id AS text), CAST(to_json(d) AS text) FROM {schema}.shop_documents d"
DECLARATION = """\
[projections.{name}]
root = "{schema}.shop_products"
key = "id"
document = "{schema}.shop_documents"
index = "{index}"
"""
# Documents of others that were sent between the commit of one event and its own settlement. Without
# statistics a join would read the whole table for each row of it.
SENT_BEFORE = """
WITH own AS MATERIALIZED (
    SELECT min(created_at) AS since, max(processed_at) AS until FROM {schema}.search_outbox_events
    WHERE entity_type = %(name)s AND entity_key = %(key)s AND follow IS NULL
)
SELECT count(*) FROM {schema}.search_outbox_events
WHERE entity_type = %(name)s AND entity_key <> %(key)s AND follow IS NULL AND status = 'done'
    AND processed_at BETWEEN (SELECT since FROM own) AND (SELECT until FROM own)
"""


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
        _execute(ctx, TABLES)
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
        ((before,),) = _execute(ctx, SENT_BEFORE, name=NAME, key=fresh)
        waited = "documents sent before the fresh one"
        ctx.expect(waited, f"at most {MOST_BEFORE}", before, met=before <= MOST_BEFORE)
        ctx.expect_counts(done=ctx.written, failed=0)
        self._expect_agreement(ctx)

    def _apply(self, ctx: LabContext) -> None:
        """Put the projection in force; the rows that are there become one event."""
        file = ctx.folder / f"{NAME}.toml"
        schema = ctx.transact(outbox_schema)
        file.write_text(DECLARATION.format(name=NAME, schema=schema, index=self.index), encoding="utf-8")
        declared = declaration.read(file)
        built_in = ctx.settings.elastic_index
        Applying(ctx.database, ctx.client, "lab", self.name, built_in).apply(declared)

    def _expect_agreement(self, ctx: LabContext) -> None:
        """Check that the index holds exactly the rows of the view."""
        rows = {id_: json.loads(row) for id_, row in _execute(ctx, ROWS)}
        held = zip(scanned.by_id(ctx.client, self.index, [*rows], content=True), rows.values(), strict=True)
        differ = sum(found is None or json.loads(found.body) != row for found, row in held)
        extra = index_setup.count(ctx.client, self.index) - len(rows)
        ctx.expect("rows of the view, and documents", "0 differ, 0 more", f"{differ} differ, {extra} more")


def _execute(ctx: LabContext, statement: str, **values: Any) -> list[Any]:
    """Run one of the statements above in a transaction, in the lab's schema; the rows of a query."""

    def execute(connection: "Connection") -> list[Any]:
        composed = SQL(statement).format(schema=Identifier(outbox_schema(connection))).as_string()
        result = connection.exec_driver_sql(composed, values or None)
        return [*result] if result.returns_rows else []

    return ctx.transact(execute)


def _add_products(ctx: LabContext, first: int, last: int, category: int) -> None:
    """Insert products with these ids; one event each once the projection is in force."""
    _execute(ctx, PRODUCTS, first=first, last=last, category=category)


def _publish(ctx: LabContext) -> float:
    """Publish the category; returns the seconds of the transaction, over a connection that is open."""
    began = monotonic()
    _execute(ctx, PUBLISH, category=HIDDEN)
    return monotonic() - began


def _indexed(ctx: LabContext, index: str, id_: str) -> bool:
    return scanned.versions(ctx.client, index, [id_])[id_] is not None


def _status(ctx: LabContext) -> "ProjectionStatus":
    """What `status` says of the projection."""
    seconds = ctx.settings.max_processing_seconds
    return ctx.transact(lambda c: by_projection.count(c, max_processing=seconds, only=NAME)).projections[0]


def _keys_done(ctx: LabContext) -> int:
    """How many of the documents `status` says have an event by now."""
    return sum(each.keys_done for each in _status(ctx).following)
