"""One session of the shop: transactions of any shape, that meet those of others."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import sleep

import psycopg

from storm.shop.conflicts import AGAIN, REFUSED, foreign
from storm.shop.schema import NAME, STOCK
from storm.shop.statements import DISSOLVE, EMPTY, RENAME, complete, some

ATTEMPTS = 10
BEGIN = ("BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ")
ENDS = {"COMMIT": 7, "ROLLBACK": 1, "COMMIT PREPARED": 1, "ROLLBACK PREPARED": 1}
LONGEST = 0.02  # seconds that a transaction stays open with nothing to do
BETWEEN = 0.1  # seconds from one to the next at most
MOST = 300  # events under way at which it waits: documents must change while they are on their way
UNDER_WAY = f"""
SELECT count(*) FROM (SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing')
    AND entity_type = '{NAME}' AND follow IS NULL AND length(entity_key) < {len(str(STOCK))} LIMIT {MOST}) e
"""
RENAMED, DISSOLVED, EMPTIED = 2_000, 150, 1_000  # transactions from one to the next, about


@dataclass
class Writer:
    """A session; `sessions` are the process ids of all of them, `over` says that there is no more to do."""

    sql: psycopg.Connection
    name: str
    rng: Random
    sessions: set[int]
    over: threading.Event
    made: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    committed: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions.add(self.sql.info.backend_pid)
        self.sql.execute("SET deadlock_timeout = '20ms'")
        ((most,),) = self.sql.execute("SHOW max_prepared_transactions").fetchall()
        self._two_phase = int(most) > 0

    def wait(self) -> None:
        """For a moment, and until few enough events are under way."""
        self.over.wait(self.rng.random() * BETWEEN)
        while not self.over.is_set() and self.sql.execute(UNDER_WAY).fetchall() == [(MOST,)]:
            self.over.wait(BETWEEN)

    def transaction(self, number: int, keys: range, *, heals: bool) -> None:
        """One transaction, again where another one of the shop was in its way.

        `heals` allows TRUNCATE, which has every document read again.
        """
        name, steps = f"{self.name}-{number}", some(self.rng, keys)
        begin, end = self.rng.choice(BEGIN), self._end()
        if not number % DISSOLVED:
            steps.append(complete(DISSOLVE, self.rng, keys))
        if number % RENAMED == RENAMED // 8:
            steps, end = [*steps, RENAME], "COMMIT"
        if (
            heals and number % EMPTIED == EMPTIED // 8
        ):  # first, and with a snapshot of its own: it sees what it removes
            begin, steps = "BEGIN", [EMPTY, *steps]
            self.counts["TRUNCATE"] += 1
        for attempt in range(ATTEMPTS):
            if self._attempt(f"{name}-{attempt}", begin, steps, end):
                break
        else:
            self.counts["given up"] += 1
        self.made += 1

    def _end(self) -> str:
        end = self.rng.choices([*ENDS], [*ENDS.values()])[0]
        return end if self._two_phase else end.partition(" ")[0]

    def _attempt(self, name: str, begin: str, steps: Sequence[str], end: str) -> bool:
        """Whether it is over: ended as it should, or refused for good."""
        try:
            self.sql.execute(begin)
            self.sql.execute("INSERT INTO shop.transactions VALUES (%s)", [name])
            for step in steps:
                self._step(step)
            self._wait()
            self._finish(name, end)
        except psycopg.Error as error:
            self._refused(error)
            self.sql.execute("ROLLBACK")
            return not isinstance(error, AGAIN)
        self.counts[end] += 1
        return True

    def _step(self, statement: str) -> None:
        if self.rng.random() < 0.7:
            self.sql.execute(statement)
            return
        self.sql.execute("SAVEPOINT s")
        try:
            self.sql.execute(statement)
        except REFUSED as error:
            self._refused(error)
            self.sql.execute("ROLLBACK TO s")
        if self.rng.random() < 0.5:
            self.sql.execute("ROLLBACK TO s")

    def _finish(self, name: str, end: str) -> None:
        if end.endswith("PREPARED"):
            self.sql.execute(f"PREPARE TRANSACTION '{name}'")
            self._wait()
            self.sql.execute(f"{end} '{name}'")
        else:
            self.sql.execute(end)
        if end.startswith("COMMIT"):
            self.committed.add(name)

    def _wait(self) -> None:
        if self.rng.random() < 0.3:
            sleep(self.rng.random() * LONGEST)

    def _refused(self, error: psycopg.Error) -> None:
        self.counts[type(error).__name__] += 1
        if problem := foreign(error, self.sessions):
            self.errors.append(f"an application's transaction failed, {problem}: {error}")
