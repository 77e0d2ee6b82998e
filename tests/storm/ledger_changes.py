"""Two developers who leave nothing as it is: one declares and migrates, the other rebuilds."""

import threading
from collections import Counter
from pathlib import Path
from random import Random

import psycopg
from psycopg.errors import DeadlockDetected, LockNotAvailable

from processes import Cli
from storm.ledger_schema import (
    INNER,
    NAME,
    NEXT_ID,
    PARTITION,
    RENAME,
    RENAMES,
    ROOM,
    SHOWN,
    declaration,
    is_busy,
)

WHO = ("--by", "storm", "--reason", "storm")
PAUSES = (0.2, 0.5, 8.0)  # seconds from one change to the next: in the longest a rebuild can end
INCONCLUSIVE, USAGE = 5, 2
# Each a rebuild may end with: done, nothing in force, or a declaration that changed while it ran.
ENDS = frozenset({0, USAGE, INCONCLUSIVE})


class Developer:
    """Changes the declaration in force, the view below the views, names of columns, and adds partitions."""

    def __init__(
        self, sql: psycopg.Connection, cli: Cli, rng: Random, indexes: tuple[str, ...], over: threading.Event
    ) -> None:
        self._sql, self._cli, self._rng, self._indexes, self._over = sql, cli, rng, indexes, over
        self._file = Path(cli.cwd, "ledger.toml")
        self.view, self.index = "", ""
        self.partitions = 0
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._sql.execute("SET lock_timeout = '2s'")

    def run(self) -> None:
        """Until it is over: one change after the other."""
        changes = [*[self.apply] * 4, self.replace, self.rename, self.drop]
        while not self._over.wait(self._rng.choice(PAUSES)):
            self.attach()
            if not is_busy(self._sql):
                self._rng.choice(changes)()

    def apply(self) -> None:
        """Another declaration."""
        text, view, index = declaration(self._rng, self._indexes)
        self._file.write_text(text, encoding="utf-8")
        done = self._cli("projection", "apply", str(self._file), *WHO, "--yes")
        self._expect("apply", done.returncode, done.stderr, {0})
        if done.returncode == 0:
            self.view, self.index = view, index

    def replace(self) -> None:
        """Another view below the views: what is in force does not change, what it shows does."""
        self._migrate("inner view", INNER.format(shown=self._rng.choice(SHOWN)))
        self.apply()

    def rename(self) -> None:
        """A column; the views go on with the new name by themselves."""
        old, new = self._rng.choice(RENAMES)
        there = "SELECT FROM pg_attribute WHERE attrelid = 'ledger.accounts'::regclass AND attname = %s"
        if not self._sql.execute(there, [old]).rowcount:
            old, new = new, old
        self._migrate("column renamed", RENAME.format(old=old, new=new))

    def attach(self) -> None:
        """The next partition, before it is needed."""
        ((last,),) = self._sql.execute(NEXT_ID).fetchall()
        while last + ROOM > self.partitions * ROOM:
            first, number = self.partitions * ROOM, self.partitions
            self._migrate("partition", PARTITION.format(number=number, first=first, last=first + ROOM))
            self.partitions += 1

    def drop(self) -> None:
        """Out of force, and in force again."""
        done = self._cli("projection", "drop", NAME, *WHO, "--yes")
        self._expect("drop", done.returncode, done.stderr, {0})
        self.apply()

    def _migrate(self, what: str, statement: str) -> None:
        """As a migration does: again where somebody else has the table."""
        while True:
            try:
                self._sql.execute(statement.encode())
            except (LockNotAvailable, DeadlockDetected):
                continue
            self.counts[what] += 1
            return

    def _expect(self, what: str, code: int, text: str, allowed: set[int]) -> None:
        self.counts[what] += 1
        if code not in allowed:
            self.errors.append(f"{what} ended with {code}: {text}")


class Rebuilder:
    """Rebuilds whatever is in force, again and again."""

    def __init__(self, cli: Cli, over: threading.Event) -> None:
        self._cli, self._over = cli, over
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []

    def run(self) -> None:
        """Until it is over; what is left of one that could not end is removed."""
        while not self._over.wait(PAUSES[0]):
            done = self._cli("rebuild", "--projection", NAME, *WHO, "--keep-old", "1s", "--yes", timeout=300)
            self.counts[f"rebuild: {done.returncode}"] += 1
            if done.returncode not in ENDS:
                self.errors.append(f"rebuild ended with {done.returncode}: {done.stderr}")
            elif done.returncode:
                self._cli("index", "abort", "--projection", NAME, *WHO, "--yes")
            self._cli("index", "cleanup", "--projection", NAME, *WHO, "--yes")
