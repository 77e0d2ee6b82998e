"""The applications: sessions of both schemas, each in a thread of its own."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import time

from schemas.load import music, rental
from schemas.load.plan import Plan
from schemas.load.session import Session

SCHEMAS = (rental, music)
SESSIONS = 2  # of each schema
EMPTIED_AT = (1 / 3, 2 / 3)  # of the time: when the first session of each empties a table and fills it again


class Application:
    """Writes from its creation to `finish`, at the plan's rate; `own` are its other sessions' process ids."""

    def __init__(self, plan: Plan, url: str, own: set[int]) -> None:
        number = len(SCHEMAS) * SESSIONS
        self.sessions = [
            Session(
                SCHEMAS[n % len(SCHEMAS)],
                url,
                n,
                Random(f"{plan.seed}/{n}"),
                rate=plan.rate / number,
                sessions=own,
            )
            for n in range(number)
        ]
        self._over, self._pool = threading.Event(), ThreadPoolExecutor(number)
        emptied = [share * plan.seconds for share in EMPTIED_AT]
        self._threads = [
            self._pool.submit(session.work, self._over, emptied if n < len(SCHEMAS) else [])
            for n, session in enumerate(self.sessions)
        ]

    @property
    def counts(self) -> Counter[str]:
        """What was done and what was refused, by name."""
        return sum((session.counts for session in self.sessions), Counter[str]())

    @property
    def errors(self) -> list[str]:
        """What no conflict of the sessions among themselves, and no rule of their tables explains."""
        return [error for session in self.sessions for error in session.errors]

    def finish(self) -> float:
        """Wait for the last write; when that was, in seconds since the epoch."""
        self._over.set()
        for thread in self._threads:
            thread.result()
        return time()

    def close(self) -> None:
        """End the threads and their connections."""
        self._over.set()
        self._pool.shutdown()
        for session in self.sessions:
            session.close()
