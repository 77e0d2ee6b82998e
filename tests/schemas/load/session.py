"""One session of an application that does its acts at a steady rate, and says what was refused, and why."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import monotonic
from types import ModuleType
from typing import Any

import psycopg

from schemas.load.acts import Choice
from schemas.writer import OWN_RULES
from shop.sessions import REFUSED, foreign

MOST = 3  # acts of a transaction
UNDONE = 0.05  # of the acts and of the transactions
PART = 2_000  # rows that are copied at once
AS_THEY_WERE = 0.5  # of the tables that are emptied: their rows come back in the same transaction


class Session:
    """Acts of a schema, `rate` transactions a second; `sessions` are the process ids of all that write."""

    def __init__(
        self, schema: ModuleType, url: str, number: int, rng: Random, *, rate: float, sessions: set[int]
    ) -> None:
        self._schema, self._rng, self._every, self._sessions = schema, rng, 1 / rate, sessions
        self._choice = Choice(schema.NUMBERS, number, rng)
        self._sql = psycopg.connect(url, autocommit=True)
        sessions.add(self._sql.info.backend_pid)
        self.counts, self.errors = Counter[str](), list[str]()

    def work(self, over: threading.Event, to_empty: Sequence[float]) -> None:
        """Until it is over; the schema's table is emptied and filled again after these seconds."""
        began, late = monotonic(), [*to_empty]
        for number in range(10**9):
            if over.wait(max(0.0, began + number * self._every - monotonic())):
                return
            if late and monotonic() > began + late[0]:
                late.pop(0)
                self._attempt(self._empty)
            self._attempt(self._transaction)

    def close(self) -> None:
        """End its connection."""
        self._sql.close()

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except psycopg.Error as error:  # a deadlock ends the transaction, others their own savepoint
            self._refused(error)

    def _transaction(self) -> None:
        with self._sql.transaction(force_rollback=self._rng.random() < UNDONE):
            for _ in range(self._rng.randint(1, MOST)):
                self._act()
        self.counts["transactions"] += 1

    def _act(self) -> None:
        (act,) = self._rng.choices(self._schema.ACTS, [each.often for each in self._schema.ACTS])
        try:
            with self._sql.transaction(force_rollback=self._rng.random() < UNDONE):
                for statement in act.chosen(self._choice.values()):
                    self._sql.execute(statement)
        except psycopg.errors.DeadlockDetected:
            raise
        except OWN_RULES as error:
            self._refused(error)

    def _empty(self) -> None:
        """TRUNCATE, and COPY of the rows that were there: in the same transaction, or later in parts."""
        table = self._schema.EMPTIED
        together = self._rng.random() < AS_THEY_WERE
        with self._sql.transaction():
            self._sql.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            rows = self._sql.execute(f"SELECT * FROM {table}").fetchall()
            self._sql.execute(f"TRUNCATE {table}")
            if together:
                self._copy(rows)
        for first in range(0, 0 if together else len(rows), PART):
            self._attempt(partial(self._copy, rows[first : first + PART]))
        self.counts["emptied and copied"] += 1

    def _copy(self, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._sql.cursor().copy(f"COPY {self._schema.EMPTIED} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _refused(self, error: psycopg.Error) -> None:
        self.counts[type(error).__name__] += 1
        if isinstance(error, OWN_RULES) and not isinstance(error, REFUSED):
            own = "outbox_" not in f"{error.diag.context} {error.diag.table_name}"
        else:
            own = not foreign(error, self._sessions)
        if not own:
            self.errors.append(f"{type(error).__name__}: {error}")
