"""Documents of several tables whose rows change all at once, while workers are killed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from random import Random
from threading import Event
from time import monotonic
from typing import Any

from outboxctl.core.operator import shop
from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.projected import HIDDEN, ProjectionLab

CATEGORIES, EACH, WRITERS, KILLS = 6, 40, 2, 3
PRODUCTS = CATEGORIES * EACH
PAUSE = 0.01  # seconds between two transactions of a writer
STUCK = 0.4  # seconds that an event is held: its request is, and is not one that had passed before
WORKERS = ("w1", "w2")


class ProjectionChildStorm(ProjectionLab):
    """Children move, parents change, rows are deleted, and a worker is killed again and again."""

    name = "projection-child-storm"
    title = BilingualText("Documents of several tables in a storm of changes", "变更风暴中的多表文档")
    question = BilingualText(
        "Do documents follow their children and parents when these are moved, changed and deleted, and "
        "workers are killed?",
        "子行移动、父行修改、行被删除且 worker 不断死亡时，文档能跟上吗？",
    )
    hypothesis = BilingualText(
        "When all is delivered, verify finds no document missing, different or extra, and no event failed.",
        "全部投递后，verify 没有 missing、different、extra，也没有 failed 事件。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "2",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.3",
        "OUTBOX_MAX_ATTEMPTS": "50",
        "OUTBOX_BULK_SIZE": "100",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    events = 1 + PRODUCTS - EACH  # that of `apply`, and one for each product that is not hidden
    seconds = 11.0
    by_hand = (
        "outboxctl projection plan products.toml  # tables that are followed, and by what",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "OUTBOX_WORKER_ID=w2 OUTBOX_METRICS_PORT=9109 outboxctl worker &",
        'psql "$DATABASE_URL" -c "UPDATE …"  # rows of all followed tables, again and again',
        "kill -9 %1; OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "outboxctl verify --projection NAME",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Put a projection of rows that are there in force; start two workers."""
        self.open_shop(ctx)
        for number in range(HIDDEN + 1, CATEGORIES + 1):
            self.do(ctx, shop.CATEGORY, id=number, name=f"category {number}", published=True)
        for number in range(CATEGORIES):
            ids = {"first": number * EACH + 1, "last": (number + 1) * EACH}
            self.do(ctx, shop.PRODUCTS, currency="EUR", category=number + 1, **ids)
        self.apply(ctx)
        ctx.written_by_triggers = True  # and by workers, also when the fault does not take hold
        self._remember(ctx)
        for name in WORKERS:
            ctx.worker(name).start()

    def inject(self, ctx: LabContext) -> None:
        """Kill a worker again and again while all tables change."""
        with self._storm(ctx) as transactions:
            for _, name in zip(range(KILLS), cycle(WORKERS), strict=False):
                self._kill(ctx, name)
        for number in range(1, CATEGORIES + 1):  # the last change of each document is that of its parent
            self.do(ctx, shop.CATEGORY, id=number, name=f"renamed {number}", published=number != HIDDEN)
        self._remember(ctx)
        ctx.conclude(("transactions of the storm", "风暴中的事务数"), sum(transactions))

    def recover(self, ctx: LabContext) -> None:
        """Wait until all is delivered."""
        ctx.expect_recovered()

    def check(self, ctx: LabContext) -> None:
        """The index holds exactly the rows of the view."""
        ctx.expect_counts(failed=0)
        gone = self.seen - {event.id for event in ctx.events()}
        ctx.expect(("events of the storm that are gone", "风暴中丢失的事件"), 0, len(gone))
        self.expect_agreement(ctx)
        ctx.conclude(("workers killed", "杀死 worker 次数"), KILLS)
        ctx.conclude(("events", "事件数"), ctx.counts().total)

    def _remember(self, ctx: LabContext) -> None:
        """Note all events that there are now: none of them may be gone in the end."""
        self.seen = {event.id for event in ctx.events()}
        ctx.written = len(self.seen)

    def _kill(self, ctx: LabContext, name: str) -> None:
        """Kill it with events that it has claimed and the sink has applied, or not; start it again."""
        worker = ctx.worker(name)
        ctx.wait(lambda: ctx.ready(name))
        with ctx.proxy.hold("after apply" if name == WORKERS[0] else "before apply"):
            ctx.wait(_stuck(ctx, name), within=5)
            ctx.fault(f"SIGKILL to worker {name}", worker.kill)
            killed = (f"worker {name} was killed while it held events", f"worker {name} 死亡时持有事件")
            ctx.confirm(killed, lambda: not worker.running and name in ctx.owners(), within=2)
        worker.start()

    @contextmanager
    def _storm(self, ctx: LabContext) -> Iterator[list[int]]:
        """Write until the block ends; then the list holds the number of transactions of each writer."""
        over, counts = Event(), list[int]()
        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(self._write, ctx, number, over) for number in range(WRITERS)]
            try:
                yield counts
            finally:
                over.set()
        counts += [writer.result() for writer in writers]

    def _write(self, ctx: LabContext, number: int, over: Event) -> int:
        """One session of the application, with rows of its own: sessions do not wait for each other."""
        rng, done = Random(number), 0  # noqa: S311 - no secret
        while not over.wait(PAUSE):
            self._change(ctx, rng, number)
            done += 1
        return done

    def _change(self, ctx: LabContext, rng: Random, number: int) -> None:
        own = range(1 + number, PRODUCTS + 1, WRITERS)
        id_, new, stars = rng.choice(own), rng.choice(own), rng.randint(1, 5)
        category = rng.choice(range(1 + number, CATEGORIES + 1, WRITERS))
        changes: list[tuple[str, dict[str, Any]]] = [
            (shop.REVIEW, {"id": id_, "stars": stars}),
            (shop.REVIEW, {"id": id_, "stars": stars}),
            (shop.STARS, {"id": id_, "stars": stars}),
            (shop.MOVE_REVIEWS, {"id": id_, "new": new}),
            (shop.DELETE_REVIEWS, {"id": id_}),
            (shop.MOVE_PRODUCT, {"id": id_, "category": category}),
            (shop.CHANGE_KEY, {"id": id_, "new": new}),
            (shop.DELETE_PRODUCT, {"id": id_}),
            (shop.PRODUCTS, {"first": id_, "last": id_, "currency": "USD", "category": category}),
            (shop.CATEGORY, {"id": category, "name": f"name {stars}", "published": stars > 1}),
        ]
        statement, values = rng.choice(changes)
        self.do(ctx, statement, **values)


def _stuck(ctx: LabContext, name: str) -> Callable[[], bool]:
    """A function that returns whether the worker has held an event for STUCK seconds."""
    since: dict[str, float] = {}

    def stuck() -> bool:
        now, held = monotonic(), {event.id for event in ctx.held() if event.owner == name}
        for id_ in since.keys() - held:
            del since[id_]
        since.update(dict.fromkeys(held - since.keys(), now))
        return any(now - at > STUCK for at in since.values())

    return stuck
