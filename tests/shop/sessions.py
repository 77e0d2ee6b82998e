"""Sessions that write to the shop at random, and which of their errors are their own doing."""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import sleep

import psycopg
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, SerializationFailure, UniqueViolation

SESSIONS, KEYS, TRANSACTIONS = 6, range(1, 13), 5
# A serialization failure also at READ COMMITTED: a row that is waited for was moved to another partition.
REFUSED = (DeadlockDetected, ForeignKeyViolation, SerializationFailure, UniqueViolation)
PID = re.compile(r"[Pp]rocess (\d+)")
BEGIN = ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ")
ENDS = {"COMMIT": 7, "ROLLBACK": 1, "COMMIT PREPARED": 1, "ROLLBACK PREPARED": 1}
# {a}, {b}: products; {c}: a category; {table}: reviews or offers.
REV = "rev = nextval('shop.revisions')"
ONE = (
    "id = (SELECT id FROM shop.{table} WHERE product_id IN ({a}, {b}) OR product_id IS NULL"
    " OFFSET floor(random() * 4) LIMIT 1)"
)
NEAR = "(SELECT min(id) FROM shop.categories WHERE id BETWEEN {c} AND {c} + 2)"
OF_ANY_AGE = "(SELECT id FROM shop.categories WHERE id > 0 OFFSET floor(random() * 30) LIMIT 1)"
STATEMENTS = (
    *["INSERT INTO shop.products (id) VALUES ({a}), ({b}) ON CONFLICT DO NOTHING"] * 3,
    f"UPDATE shop.products SET {REV} WHERE id IN ({{a}}, {{b}})",
    f"UPDATE shop.products SET published = NOT published, {REV} WHERE id = {{a}}",
    f"UPDATE shop.products SET id = {{b}}, {REV} WHERE id = {{a}}",
    "UPDATE shop.products SET rev = rev WHERE id IN ({a}, {b})",
    "DELETE FROM shop.products WHERE id = {a}",
    "INSERT INTO shop.{table} (product_id) SELECT id FROM shop.products WHERE id IN ({a}, {b})",
    f"UPDATE shop.{{table}} SET {REV} WHERE product_id = {{a}}",
    f"UPDATE shop.{{table}} SET product_id = {{b}}, {REV} WHERE {ONE}",
    f"UPDATE shop.{{table}} SET product_id = NULL, {REV} WHERE {ONE}",
    f"DELETE FROM shop.{{table}} WHERE {ONE}",
    "INSERT INTO shop.categories (id) VALUES ({c}) ON CONFLICT DO NOTHING",
    f"UPDATE shop.categories SET {REV} WHERE id = {{c}}",
    f"UPDATE shop.categories SET {REV} WHERE id = {OF_ANY_AGE}",
    f"UPDATE shop.categories SET id = {{c}} + 1, {REV} WHERE id = {{c}}",
    "DELETE FROM shop.categories WHERE id = {c}",
    *[f"UPDATE shop.products SET category_id = {NEAR}, {REV} WHERE id = {{a}}"] * 2,
)
EMPTY = "TRUNCATE shop.reviews, shop.offers"
EMPTY_ALL = f"{EMPTY}, shop.products"


def foreign(error: psycopg.Error, sessions: set[int]) -> str:
    """Why these sessions alone do not explain this error; empty if they do."""
    if not isinstance(error, REFUSED):
        return "by no conflict"
    if "outbox_" in f"{error.diag.context} {error.diag.table_name}":
        return "in the outbox"
    others = {int(pid) for pid in PID.findall(error.diag.message_detail or "")} - sessions
    return f"in a conflict with session {min(others)}" if others else ""


@dataclass
class Session:
    """One session of the application; `sessions` are the process ids of all of them.

    `rare` are statements of which about every hundredth is one. `counts` are transactions by their end or
    error, `errors` those that no other session explains.
    """

    sql: psycopg.Connection
    random: Random
    sessions: set[int]
    rare: Sequence[str] = (EMPTY, EMPTY_ALL)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions.add(self.sql.info.backend_pid)
        self.sql.execute("SET deadlock_timeout = '20ms'")
        ((most,),) = self.sql.execute("SHOW max_prepared_transactions").fetchall()
        self._two_phase, self._numbers = int(most) > 0, count()

    def transaction(self, keys: range = KEYS, *more: str) -> None:
        """First `more`, then some statements, some of them undone, and any end."""
        end = self.random.choices([*ENDS], [*ENDS.values()])[0]
        end = end if self._two_phase else end.partition(" ")[0]
        try:
            self.sql.execute(self.random.choice(BEGIN))
            for statement in more:
                self.sql.execute(statement.encode())
            for _ in range(self.random.randint(1, 5)):
                self._step(self._statement(keys))
            self._wait()
            self._finish(end)
            self.counts[end] += 1
        except psycopg.Error as error:
            self._refused(error)
            self.sql.execute("ROLLBACK")

    def _statement(self, keys: range) -> str:
        a, b = self.random.sample(keys, 2)
        statements = self.rare if self.rare and self.random.random() < 0.01 else STATEMENTS
        given = {"c": a // 4 + self.random.randint(1, 3), "table": self.random.choice(["reviews", "offers"])}
        return self.random.choice(statements).format(a=a, b=b, **given)

    def _step(self, statement: str) -> None:
        if self.random.random() < 0.6:
            self.sql.execute(statement.encode())
            return
        self.sql.execute("SAVEPOINT s")
        try:
            self.sql.execute(statement.encode())
        except REFUSED as error:
            self._refused(error)
            self.sql.execute("ROLLBACK TO s")
        if self.random.random() < 0.5:
            self.sql.execute("ROLLBACK TO s")

    def _finish(self, end: str) -> None:
        if end.endswith("PREPARED"):
            name = f"{self.sql.info.backend_pid}-{next(self._numbers)}"
            self.sql.execute(f"PREPARE TRANSACTION '{name}'".encode())
            self._wait()
            end = f"{end} '{name}'"
        self.sql.execute(end.encode())

    def _wait(self) -> None:
        if self.random.random() < 0.5:
            sleep(self.random.random() * 0.02)

    def _refused(self, error: psycopg.Error) -> None:
        self.counts[type(error).__name__] += 1
        # A reader gives way to a TRUNCATE (test_reader_locks.py), but not within these sessions' 20 ms.
        of_truncate = "AccessExclusiveLock" in f"{error.diag.message_detail}"
        if not of_truncate and (problem := foreign(error, self.sessions)):
            self.errors.append(f"an application's transaction failed, {problem}: {error}")


def trade(url: str, seed: int) -> None:
    """Run several sessions until each has made its transactions."""
    sessions, errors = set[int](), list[str]()

    def run(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as sql:
            session = Session(sql, Random(seed * SESSIONS + number), sessions, errors=errors)
            for _ in range(TRANSACTIONS):
                session.transaction()

    threads = [threading.Thread(target=run, args=[number]) for number in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
