"""An open loop of transactions: each has its time from the beginning on, and none is left out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import sleep, time
from typing import NamedTuple
from uuid import UUID, uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator import inject

TRANSACTIONS = 500  # a second at the most; faster rates write several events in each
WRITERS = 4  # sessions: so many transactions can be under way at once
WARM_UP = 3.0  # seconds at the beginning that do not count
TEXT = "word " * 80


class Planned(NamedTuple):
    """One transaction: seconds from the start until it begins, and its entities."""

    at: float
    ids: list[UUID]


class Committed(NamedTuple):
    """When COMMIT returned (seconds since the epoch), how late the transaction began, what COMMIT took."""

    at: float
    late: float
    commit: float


def planned(rate: int, seconds: float) -> Iterator[Planned]:
    """`rate` events a second, several in a transaction where it exceeds TRANSACTIONS."""
    together = max(1, rate // TRANSACTIONS)
    for number in range(int(rate * (WARM_UP + seconds) / together)):
        yield Planned(number * together / rate, [uuid4() for _ in range(together)])


def write(url: str, plan: Sequence[Planned]) -> list[Committed]:
    """Carry out the plan, each transaction by whichever session is free; in a process of its own.

    The sessions are opened by the first transactions, which do not count.
    """
    with closing(Database(url, connections=WRITERS)) as database, ThreadPoolExecutor(WRITERS) as pool:
        start = time() + 0.1
        return list(pool.map(lambda each: _transaction(database, each, start), plan))


def _transaction(database: Database, planned: Planned, start: float) -> Committed:
    sleep(max(0.0, start + planned.at - time()))
    late = time() - start - planned.at
    with database.begin() as connection:
        contents = [f"{id_} {TEXT}" for id_ in planned.ids]
        inject.upserts(connection, entity_type=inject.ENTITY_TYPE, ids=planned.ids, contents=contents)
        written = time()
    at = time()
    return Committed(at, late, at - written)
