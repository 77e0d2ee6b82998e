"""The shop's application: several writers on the same few products at a time."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path

import psycopg

from processes import Cli
from storm.plan import Plan, Site
from storm.shop.schema import DECLARATION, FILL, SCHEMA, STOCK
from storm.shop.writer import Writer

WRITERS = 4
HOT = 12  # products that are written to at a time
PER_KEY = 120  # transactions until the next product is among them
HEALED = 0.5  # the part of the storm in which children are emptied: later nothing heals what is lost
WATCHED = 50  # documents of the old stock that are looked at
OPEN = 3.0  # seconds that a transaction stays open which does nothing else
RECENT = 4 * HOT  # keys that may still have events under way


def open_shop(plan: Plan, site: Site, cli: Cli) -> None:
    """Make its tables with the old stock, and put its projection in force by the real command."""
    with psycopg.connect(site.url, autocommit=True) as sql, sql.transaction():
        sql.execute(SCHEMA.encode())
        for each in FILL:
            sql.execute(each.encode(), {"keys": len(_keys(plan)), "stock": plan.stock})
    file = Path(site.folder, "shop.toml")
    file.write_text(DECLARATION.format(index=site.products), encoding="utf-8")
    cli.ok("projection", "apply", str(file), "--by", "storm", "--reason", "storm", "--yes")


class ShopApplication:
    """Writers, each in a thread of its own; they share the products that are hot."""

    def __init__(self, plan: Plan, url: str) -> None:
        self._plan, self._numbers, self._started, self._asked = plan, count(1), 0, 0
        self._over, sessions = threading.Event(), set[int]()
        self.writers = [
            Writer(
                psycopg.connect(url, autocommit=True), f"s{n}", plan.rng(f"shop {n}"), sessions, self._over
            )
            for n in range(WRITERS)
        ]
        self._threads = [ThreadPoolExecutor(1) for _ in self.writers]
        self._idler = ThreadPoolExecutor(1)
        self._idle = self._idler.submit(self._stay_open, url)
        self._under_way: list[Future[None]] = []

    @property
    def counts(self) -> Counter[str]:
        """How transactions ended, by the end or the error."""
        return sum((writer.counts for writer in self.writers), Counter[str]())

    @property
    def committed(self) -> set[str]:
        """The names of the transactions whose commit was answered."""
        return set().union(*(writer.committed for writer in self.writers))

    @property
    def errors(self) -> list[str]:
        """Errors that no other session of the shop explains."""
        return [error for writer in self.writers for error in writer.errors]

    def recent(self) -> list[str]:
        """Keys that are written to, or were a moment ago."""
        hot = self._hot()
        return [str(key) for key in range(max(1, hot.start - RECENT), hot.stop)]

    def keys(self) -> list[str]:
        """All keys, and some of the old stock."""
        every = max(1, self._plan.stock // WATCHED)
        stock = range(STOCK + 1, STOCK + self._plan.stock + 1, every)
        return [str(key) for key in (*_keys(self._plan), *stock)]

    def write(self, transactions: int) -> None:
        """Have so many more transactions made; returns at once."""
        self._asked += transactions
        share, rest = divmod(transactions, WRITERS)
        for number, (writer, thread) in enumerate(zip(self.writers, self._threads, strict=True)):
            self._under_way.append(thread.submit(self._run, writer, share + (number < rest)))

    def behind(self) -> int:
        """Transactions that are still to be made; raises what went wrong in a thread."""
        ended = [each for each in self._under_way if each.done()]
        for each in ended:
            each.result()
            self._under_way.remove(each)
        return self._asked - sum(writer.made for writer in self.writers)

    def close(self) -> None:
        """End the threads and their connections."""
        self._over.set()
        for thread in (*self._threads, self._idler):
            thread.shutdown(cancel_futures=True)
        for writer in self.writers:
            writer.sql.close()
        self._idle.result()

    def _run(self, writer: Writer, transactions: int) -> None:
        while transactions and not self._over.is_set():
            transactions -= 1
            writer.wait()
            self._started = number = next(self._numbers)
            heals = number < HEALED * self._plan.transactions
            writer.transaction(number, self._hot(), heals=heals)

    def _stay_open(self, url: str) -> None:
        """Have a transaction of the application open for seconds, again and again."""
        with psycopg.connect(url) as sql:
            while not self._over.is_set():
                sql.execute("SELECT pg_current_xact_id()")
                self._over.wait(OPEN)
                sql.rollback()

    def _hot(self) -> range:
        first = 1 + self._started // PER_KEY
        return range(first, first + HOT)


def _keys(plan: Plan) -> range:
    return range(1, plan.transactions // PER_KEY + HOT + 2)
