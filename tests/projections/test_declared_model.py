"""Whatever is applied, written, delivered and expanded in whatever order: the index in force has the rows."""

import itertools
import os
from collections.abc import Callable
from random import Random

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections import changes, follow_pages, sweeps, version_base
from outboxctl.core.projections.trigger_names import tables_of, watched_tables
from outboxctl.core.projections.triggers import Triggers
from outboxctl.domain.projection import Follow, Projection, Relation
from outboxctl.worker.projections import reading as declared
from projections.memory_index import MemoryIndex
from projections.stepped import Indexes, SteppedWorker

pytestmark = pytest.mark.slow(reason="any order of declarations, writes and deliveries")

ROUNDS = int(os.environ.get("PROJECTIONS_ROUNDS", "6"))
SEED = int(os.environ.get("PROJECTIONS_SEED", "1"))
STEPS = 30
OTHER_VIEW = """
CREATE VIEW shop.others AS SELECT p.id, p.name || '!' AS name, c.name AS category,
    (SELECT count(*) FROM shop.reviews r WHERE r.product_id = p.id) AS reviews
FROM shop.products p LEFT JOIN shop.categories c ON c.id = p.category_id
"""
VIEWS = (Relation("shop", "product_documents"), Relation("shop", "others"))
REVIEWS = Follow(Relation("shop", "reviews"), key=("product_id",))
CATEGORIES = Follow(
    Relation("shop", "categories"),
    keys="SELECT id FROM shop.products WHERE category_id = :id",
    parameters=("id",),
)
BY_NAME = Follow(
    Relation("shop", "categories"),
    keys="SELECT id FROM shop.products WHERE category_id IN (SELECT id FROM shop.categories"
    " WHERE name = :name)",
    parameters=("name",),
)
EITHER = Follow(CATEGORIES.table, keys=f"{CATEGORIES.keys} AND :name <> ''", parameters=("id", "name"))
FOLLOWS = [
    tuple(each.named() for each in order)
    for queries in ((CATEGORIES,), (BY_NAME, CATEGORIES), (EITHER,))
    for order in itertools.permutations((REVIEWS, *queries))
]
WRITES = (
    "INSERT INTO shop.products VALUES ({a}, 'new', 1, 1, {c}) ON CONFLICT (id) DO UPDATE SET name = 'again'",
    "UPDATE shop.products SET name = name || 'x', category_id = {c} WHERE id = {a}",
    "UPDATE shop.products SET published = NOT published WHERE id = {a}",
    "DELETE FROM shop.products WHERE id = {a}",
    "DELETE FROM shop.products WHERE id = {a}",
    "INSERT INTO shop.reviews (product_id, stars) SELECT id, 3 FROM shop.products WHERE id = {a}",
    "DELETE FROM shop.reviews WHERE product_id = {a}",
    "UPDATE shop.categories SET name = name || 'y' WHERE id = {c}",
    "TRUNCATE shop.reviews",
    "TRUNCATE shop.categories CASCADE; INSERT INTO shop.categories VALUES (1, 'new'), (2, 'new');"
    " INSERT INTO shop.products SELECT n, 'new', 1, 1, 1 + n % 2 FROM generate_series(1, 6) n",
    "WITH a AS (DELETE FROM shop.reviews WHERE product_id = {a}), b AS (UPDATE shop.products SET name = 'w'"
    " WHERE id = {a} + 1) UPDATE shop.categories SET name = name || 'w' WHERE id = {c}",
)


class Interrupted(Indexes):
    """Indexes of which each, before it takes documents that were read, may let others act first."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def of(self, projection: Projection) -> MemoryIndex:
        """The index, after others have acted."""
        self._act()
        return super().of(projection)


class Model:
    """One database, its application, who applies, and two workers with declarations of their own."""

    def __init__(self, url: str, db: Database, sql: psycopg.Connection, random: Random) -> None:
        self.url, self.db, self.sql, self.random = url, db, sql, random
        self.indexes = Interrupted(self._between)
        self.workers = [SteppedWorker(url, self.indexes) for _ in range(2)]
        self.projection = self.apply()

    def apply(self) -> Projection:
        """Put any declaration in force, as `apply` does."""
        choose = self.random.choice
        self.projection = shop.product(
            choose(["one", "two"]), follow=choose(FOLLOWS), routing=choose(["", "name"])
        )
        object.__setattr__(self.projection, "document", choose(VIEWS))
        with self.db.begin() as connection:
            tables = watched_tables([self.projection], tables_of(self.projection))
            changes.run(connection, [Triggers(tables, "public", []).sql("product")])
            changes.run(connection, [sweeps.declare_sql("public", self.projection, "test")])
        return self.projection

    def write(self) -> None:
        """A transaction of the application."""
        statement = self.random.choice(WRITES).format(
            a=self.random.randint(1, 8), c=self.random.randint(1, 2)
        )
        self.sql.execute(statement.encode())

    def _between(self) -> None:
        if self.random.random() < 0.3:
            self.random.choice([self.apply, self.write, self.write])()

    def step(self) -> None:
        """Anybody does something."""
        worker = self.random.choice(self.workers)
        self.random.choice(
            [self.write, self.write, self.apply, worker.deliver, worker.expand, worker.expand]
        )()


def test_any_order_of_changed_declarations_writes_and_deliveries_ends_with_the_rows_of_the_view(
    url: str, db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declared, "FRESH", 3600)  # what a worker holds is as old as can be
    monkeypatch.setattr(follow_pages, "LEAST", 2)
    sql.execute(shop.SCHEMA)
    sql.execute(OTHER_VIEW)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots')")
    with db.begin() as connection:
        version_base.raise_base(connection)
    compared = 0
    for number in range(ROUNDS):
        model = Model(url, db, sql, Random(SEED * 1000 + number))
        for _ in range(STEPS):
            model.step()
        settle(model)
        found = model.indexes[model.projection.index].documents()
        assert found == shop.documents(sql, model.projection.document), f"seed {SEED}, round {number}"
        failed = sql.execute("SELECT error FROM search_outbox_events WHERE status = 'failed'").fetchall()
        assert failed == [], f"seed {SEED}, round {number}"
        compared += len(found)
        for worker in model.workers:
            worker.database.close()
    assert compared > ROUNDS, "too few documents for a proof"


def settle(model: Model) -> None:
    """Nobody applies or writes any more: one worker expands what is left, the other delivers it."""
    one, other = model.random.sample(model.workers, 2)
    model.random = Random(0)
    model.random.random = lambda: 1.0  # type: ignore[method-assign]
    left = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing') LIMIT 1"
    while model.sql.execute(left).rowcount:
        if not one.expand():
            other.deliver()
