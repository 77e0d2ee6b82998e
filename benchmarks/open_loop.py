"""How long an event takes from its commit, in an open loop: a stall delays the writer, and hides nothing.

Every transaction has its time from the beginning on. What could not be begun in time is begun late, and
none is left out (otherwise the bad moments would be the ones in which nothing was measured). Writer,
PostgreSQL and prober are on one machine, so on one clock.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from time import monotonic, sleep, time
from uuid import UUID, uuid4

from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index import index_setup

WRITERS = 4  # sessions: so many transactions can be under way at once
WARM_UP = 3.0  # seconds at the beginning that do not count
PROBES = 20.0  # events a second that are searched for
EACH = 0.01  # seconds between two searches
AT_ONCE = 100  # documents in one search
PATIENCE = 60.0
TEXT = "word " * 80


@dataclass(frozen=True)
class Planned:
    """One transaction: seconds from the start until it begins, and its entities."""

    at: float
    ids: list[UUID]


@dataclass(frozen=True)
class Committed:
    """When COMMIT returned (seconds since the epoch), and how many seconds late it began."""

    at: float
    late: float


@dataclass(frozen=True)
class Latencies:
    """Milliseconds after COMMIT returned, sorted: of each event, and of those searched for.

    `late`: milliseconds that a transaction began after its time, at the most.
    """

    acknowledged: list[float]
    searchable: list[float]
    late: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the sorted `values` does not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def measure(rig: Rig, rate: float, seconds: float, *, together: int = 1) -> Latencies:
    """Write `rate` events a second, `together` in a transaction, beside a worker that is there already.

    An event is acknowledged when the sink has answered: its settle's transaction begins right then. It is
    searchable when a search finds it; one of a few hundredths of a second at a time looks.
    """
    plan = list(_plan(rate, seconds, together))
    wanted = _sample(plan)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write, rig.settings.require_database_url(), plan)
        found = _probe(rig, wanted, writing, seconds)
        written = writing.result()
    settled = _settled(rig, sum(len(each.ids) for each in plan))
    counting = [(p, c) for p, c in zip(plan, written, strict=True) if p.at >= WARM_UP]
    return Latencies(
        sorted(1_000 * (settled[id_] - c.at) for p, c in counting for id_ in p.ids),
        sorted(1_000 * (found[p.ids[0]] - c.at) for p, c in counting if p.ids[0] in found),
        max(1_000 * c.late for _, c in counting),
    )


def _plan(rate: float, seconds: float, together: int) -> Iterator[Planned]:
    for number in range(int(rate * (WARM_UP + seconds) / together)):
        yield Planned(number * together / rate, [uuid4() for _ in range(together)])


def _sample(plan: Sequence[Planned]) -> list[UUID]:
    """The first of a transaction, some twenty of them a second."""
    due, wanted = 0.0, []
    for each in plan:
        if each.at >= due:
            wanted.append(each.ids[0])
            due += 1 / PROBES
    return wanted


def write(url: str, plan: Sequence[Planned]) -> list[Committed]:
    """Carry out the plan, each transaction by whichever session is free; in a process of its own."""
    with closing(Database(url, connections=WRITERS)) as database, ThreadPoolExecutor(WRITERS) as pool:
        ready = threading.Barrier(WRITERS)  # no session is opened once the clock runs
        list(pool.map(lambda _: _connect(database, ready), range(WRITERS)))
        start = time() + 0.1
        return list(pool.map(lambda each: _transaction(database, each, start), plan))


def _connect(database: Database, ready: threading.Barrier) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        ready.wait(PATIENCE)


def _transaction(database: Database, planned: Planned, start: float) -> Committed:
    sleep(max(0.0, start + planned.at - time()))
    late = time() - start - planned.at
    with database.begin() as connection:
        contents = [f"{id_} {TEXT}" for id_ in planned.ids]
        inject.upserts(connection, entity_type=inject.ENTITY_TYPE, ids=planned.ids, contents=contents)
    return Committed(time(), late)


def _probe(
    rig: Rig, wanted: Sequence[UUID], writing: Future[list[Committed]], seconds: float
) -> dict[UUID, float]:
    """When each was first found; searches for the oldest that are missing, again and again."""
    found: dict[UUID, float] = {}
    names = {f"{inject.ENTITY_TYPE}:{id_}": id_ for id_ in wanted}
    end = monotonic() + WARM_UP + seconds + PATIENCE
    while names and not (writing.done() and writing.exception()):
        must(monotonic() < end, f"{len(names)} documents are not to be found")
        hits = index_setup.searchable(rig.client, rig.settings.elastic_index, list(names)[:AT_ONCE])
        found |= {names.pop(name): time() for name in hits}
        sleep(EACH)
    return found


def _settled(rig: Rig, events: int) -> dict[UUID, float]:
    end = monotonic() + PATIENCE
    while fill.done(rig) < events:
        must(monotonic() < end, "the worker did not come to an end")
        sleep(0.1)
    with rig.database.begin() as connection:
        return benchmark_tables.settled(connection)
