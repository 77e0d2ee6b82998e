"""The shop's application: several sessions that write to the same few products at a time."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import psycopg

from shop.sessions import EMPTY, REV, Session
from storm.plan import Plan

WRITERS = 4
HOT = 12  # products that are written to at a time
PER_KEY = 120  # transactions until the next product is among them
HEALED = 0.5  # the part of the storm in which children are emptied: later nothing heals what is lost
WATCHED = 50  # documents of the old stock that are looked at
RECENT = 4 * HOT  # keys that may still have events under way
RENAMED, EMPTIED = 2_000, 1_000  # transactions from one to the next
OPEN = 3.0  # seconds that a transaction stays open which does nothing else
BETWEEN = 0.1  # seconds from one transaction to the next at most
MOST = 300  # events under way at which a session waits: documents must change while they are on their way
BIG = 0  # the category of the old stock
STOCK = 1_000_000  # keys of the old stock are above it
FILL = f"""
INSERT INTO shop.categories (id) VALUES ({BIG});
INSERT INTO shop.products (id, category_id) SELECT {STOCK} + n, {BIG} FROM generate_series(1, {{stock}}) n
"""
RENAME = f"UPDATE shop.categories SET {REV} WHERE id = {BIG}"
UNDER_WAY = f"""
SELECT count(*) FROM (SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing')
    AND entity_type = 'product' AND follow IS NULL AND length(entity_key) < {len(str(STOCK))} LIMIT {MOST}) e
"""


class Traders:
    """Sessions, each in a thread of its own; they share the products that are hot."""

    def __init__(self, plan: Plan, url: str) -> None:
        self._plan, self._numbers, self._started, self._asked = plan, count(1), 0, 0
        self._over, pids = threading.Event(), set[int]()
        self._sessions = [
            Session(psycopg.connect(url, autocommit=True), plan.rng(f"shop {n}"), pids, rare=())
            for n in range(WRITERS)
        ]
        self.made = [0] * WRITERS
        self._threads = [ThreadPoolExecutor(1) for _ in range(WRITERS + 1)]
        self._idle = self._threads[-1].submit(self._stay_open, url)
        self._under_way: list[Future[None]] = []

    @property
    def counts(self) -> Counter[str]:
        """How transactions ended, by the end or the error."""
        return sum((session.counts for session in self._sessions), Counter[str]())

    @property
    def errors(self) -> list[str]:
        """Errors that no other session of the shop explains."""
        return [error for session in self._sessions for error in session.errors]

    def recent(self) -> list[str]:
        """Keys that are written to, or were a moment ago."""
        hot = self._hot()
        return [str(key) for key in range(max(1, hot.start - RECENT), hot.stop)]

    def keys(self) -> list[str]:
        """All keys so far, and some of the old stock."""
        every = max(1, self._plan.stock // WATCHED)
        stock = range(STOCK + 1, STOCK + self._plan.stock + 1, every)
        return [str(key) for key in (*range(1, self._hot().stop), *stock)]

    def write(self, transactions: int) -> None:
        """Have so many more transactions made; returns at once."""
        self._asked += transactions
        share, rest = divmod(transactions, WRITERS)
        for number in range(WRITERS):
            some = share + (number < rest)
            self._under_way.append(self._threads[number].submit(self._run, number, some))

    def behind(self) -> int:
        """Transactions that are still to be made; raises what went wrong in a thread."""
        ended = [each for each in self._under_way if each.done()]
        for each in ended:
            each.result()
            self._under_way.remove(each)
        return self._asked - sum(self.made)

    def close(self) -> None:
        """End the threads and their connections."""
        self._over.set()
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)
        for session in self._sessions:
            session.sql.close()
        self._idle.result()

    def _run(self, writer: int, transactions: int) -> None:
        session = self._sessions[writer]
        for _ in range(transactions):
            self._wait(session)
            if self._over.is_set():
                return
            self._started = number = next(self._numbers)
            session.transaction(self._hot(), *self._seldom(number))
            self.made[writer] += 1

    def _wait(self, session: Session) -> None:
        self._over.wait(session.random.random() * BETWEEN)
        while not self._over.is_set() and session.sql.execute(UNDER_WAY).fetchall() == [(MOST,)]:
            self._over.wait(BETWEEN)

    def _seldom(self, number: int) -> list[str]:
        """What changes very many documents."""
        heals = number < HEALED * self._plan.transactions
        rename = [RENAME] if number % RENAMED == RENAMED // 8 else []
        return rename + ([EMPTY] if heals and number % EMPTIED == EMPTIED // 8 else [])

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
