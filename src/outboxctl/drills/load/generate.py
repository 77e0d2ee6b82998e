"""Writing a load: a thread for each share, all paced by one clock."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.drills.load.plan import ENTITY_TYPE, Load, LoadTransaction, batches, shares


@dataclass(frozen=True)
class Achieved:
    """Operations written, the seconds that took, and the rate; fewer than the load's total if interrupted."""

    operations: int
    seconds: float
    per_second: float


class Generator:
    """Runs one load; ^C ends it after the transactions under way."""

    def __init__(self, database: Database, load: Load, tick: Callable[[int], None]) -> None:
        self._database, self._load, self._tick = database, load, tick
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._plans = [batches(share) for share in shares(load)]
        self._due = 0
        self._done = 0
        self._errors: list[Exception] = []

    def run(self) -> Achieved:
        """Write everything; raises the first error of a writer, after the others have ended."""
        self._started = monotonic()
        threads = [threading.Thread(target=self._write, args=[p], daemon=True) for p in self._plans]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stopping.set()
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]
        seconds = monotonic() - self._started
        return Achieved(self._done, seconds, self._done / seconds if seconds else 0.0)

    def _write(self, plan: Iterator[LoadTransaction]) -> None:
        try:
            for batch in plan:
                if self._stopping.wait(self._wait_for(batch)):
                    return
                self._transaction(batch)
        except Exception as error:
            self._errors.append(error)  # run() raises it
            self._stopping.set()

    def _wait_for(self, batch: LoadTransaction) -> float:
        """Seconds until this transaction is due: the rate holds on average, late ones follow at once."""
        with self._lock:
            turn, self._due = self._due, self._due + len(batch.ids)
        rate = self._load.rate
        return max(0.0, self._started + turn / rate - monotonic()) if rate else 0.0

    def _transaction(self, batch: LoadTransaction) -> None:
        with self._database.begin() as connection:
            if batch.delete:
                inject.deletes(connection, entity_type=ENTITY_TYPE, ids=batch.ids)
            else:
                inject.upserts(connection, entity_type=ENTITY_TYPE, ids=batch.ids, contents=batch.contents)
        with self._lock:
            self._done += len(batch.ids)
            self._tick(len(batch.ids))
