"""The workers: real processes that are struck at random, and started again."""

import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from time import monotonic, sleep

import psycopg

from outboxctl.drills import services
from processes import Worker, eventually, start_worker
from suspended import CLOCK, resume, suspend

SETTINGS = {
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
    "OUTBOX_CONCURRENCY": "2",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "2",
    "OUTBOX_MAX_ATTEMPTS": "50",  # far more than bad luck alone can spend: what fails here is a bug
}
SLEEPERS = {"w1"}  # on a machine that is suspended where the others are only stopped
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s
"""
# As somebody's forgotten transaction would: one row of the worker's batch.
LOCK_ONE = """
SELECT id FROM search_outbox_events WHERE status = 'processing' AND owner = %s LIMIT 1 FOR UPDATE SKIP LOCKED
"""
HOLDERS = "SELECT DISTINCT owner FROM search_outbox_events WHERE status = 'processing'"
TICK = 0.002
A_BATCH = 0.03  # seconds, about, that a batch is under way at least
ANY_TIME = 0.5  # seconds after which one is struck although none holds anything


class Blow(StrEnum):
    """What befalls a worker."""

    KILL = "kill -9"
    STOP = "SIGSTOP past the lease, SIGCONT"
    SUSPEND = "machine suspended past the lease"
    END = "SIGTERM"
    CUT = "pg_terminate_backend"
    LOCK = "a row locked past the lease"


@dataclass
class Place:
    """One worker's place; `must_end` is the exit code that is expected of the one in it, if any."""

    name: str
    worker: Worker
    up: bool = False
    wakes_at: float | None = None
    must_end: int | None = None

    @property
    def well(self) -> bool:
        """Whether it works, as far as is known: no signal may come before its handlers are there."""
        if self.wakes_at is not None or self.must_end is not None or self.worker.process.poll() is not None:
            return False
        self.up = self.up or self.worker.get("/healthz")[0] == 200
        return self.up


class Fleet:
    """Workers named w0, w1, …; w0 is never ended, so that it can show a leak."""

    def __init__(self, env: dict[str, str], folder: Path, sql: psycopg.Connection) -> None:
        self.places: list[Place] = []
        self.blows: Counter[Blow] = Counter()
        self.deaths: list[str] = []
        self._env, self._folder, self._sql = env, folder, sql
        self._past_lease = float(env["OUTBOX_LEASE_SECONDS"]) + 1
        self._lockers: list[tuple[psycopg.Connection, float]] = []  # each with when its transaction ends

    def start(self, size: int) -> None:
        """Start so many."""
        for name in [f"w{number}" for number in range(size)]:
            self.places.append(Place(name, self._start(name)))

    def victim(self, blow: Blow, rng: Random) -> Place:
        """One that is well; waits for it."""
        found: Place = eventually(lambda: self._victim(blow, rng), within=60, what="a worker that is well")
        return found

    def strike(self, blow: Blow, place: Place, rng: Random) -> None:
        """One blow: at a worker that holds events, at once or a moment later; if none does, at `place`."""
        struck = self._holder(blow) or place
        sleep(rng.choice([0, rng.uniform(0, A_BATCH)]))
        self._blows()[blow](struck)
        self.blows[blow] += 1

    def tend(self) -> None:
        """Wake who has slept past its lease, end locks, and put a new worker where one has ended."""
        self._unlock(before=monotonic())
        for place in self.places:
            if place.wakes_at is not None and monotonic() > place.wakes_at:
                place.wakes_at = None
                resume(place.worker)
            if (code := place.worker.process.poll()) is not None:
                self._replace(place, code)

    def all_well(self) -> bool:
        """Whether each is up and awake."""
        return all(place.well for place in self.places)

    def retire(self) -> None:
        """End all of them as a deployment does."""
        for place in self.places:
            self._end(place)
        for place in self.places:
            self._expect(place, place.worker.wait())

    def logs(self) -> str:
        """Everything that the workers said."""
        return "".join(path.read_text() for path in self._folder.glob("worker-*.log"))

    def close(self) -> None:
        """Leave none of them behind."""
        for place in self.places:
            place.worker.end()
        self._unlock(before=float("inf"))

    def _start(self, name: str) -> Worker:
        url = self._env["DATABASE_URL"]
        own = {"OUTBOX_WORKER_ID": name, "DATABASE_URL": f"{url}?application_name={name}"}
        own |= CLOCK if name in SLEEPERS else {}
        return start_worker(self._env | own, self._folder, services.fresh_port())

    def _expect(self, place: Place, code: int) -> None:
        if code != place.must_end:
            self.deaths.append(f"{place.name} ended with {code}, expected {place.must_end}")

    def _replace(self, place: Place, code: int) -> None:
        self._expect(place, code)
        place.worker, place.up, place.must_end = self._start(place.name), False, None

    def _victim(self, blow: Blow, rng: Random) -> Place | None:
        self.tend()
        candidates = self._candidates(blow)
        return rng.choice(candidates) if candidates else None

    def _candidates(self, blow: Blow) -> list[Place]:
        fatal = blow in {Blow.KILL, Blow.END}
        frozen = blow in {Blow.STOP, Blow.SUSPEND}  # the same signals, to those with the clock that it takes
        fit = [p for p in self.places[fatal:] if not frozen or (p.name in SLEEPERS) == (blow is Blow.SUSPEND)]
        return [place for place in fit if place.well]

    def _holder(self, blow: Blow) -> Place | None:
        candidates, end = self._candidates(blow), monotonic() + ANY_TIME
        while monotonic() < end:
            holders = {owner for (owner,) in self._sql.execute(HOLDERS).fetchall()}
            for place in candidates:
                if place.name in holders:
                    return place
            sleep(TICK)
        return None

    def _blows(self) -> dict[Blow, Callable[[Place], None]]:
        return {
            Blow.KILL: self._kill,
            Blow.STOP: self._stop,
            Blow.SUSPEND: self._stop,
            Blow.END: self._end,
            Blow.CUT: self._cut,
            Blow.LOCK: self._lock,
        }

    def _kill(self, place: Place) -> None:
        place.must_end = -signal.SIGKILL
        place.worker.signal(signal.SIGKILL)

    def _stop(self, place: Place) -> None:
        place.wakes_at = monotonic() + self._past_lease
        suspend(place.worker)

    def _end(self, place: Place) -> None:
        place.must_end = 0
        place.worker.signal(signal.SIGTERM)

    def _cut(self, place: Place) -> None:
        self._sql.execute(CUT, [place.name])

    def _lock(self, place: Place) -> None:
        locker = psycopg.connect(self._env["DATABASE_URL"])
        self._lockers.append((locker, monotonic() + self._past_lease))
        locker.execute(LOCK_ONE, [place.name])

    def _unlock(self, *, before: float) -> None:
        for locker, ends in self._lockers:
            if ends < before:
                locker.close()
        self._lockers = [(locker, ends) for locker, ends in self._lockers if ends >= before]
