"""An open loop of transactions: each has its time from the beginning on, and none is left out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from time import sleep, time
from typing import NamedTuple
from uuid import UUID, uuid4

from outboxctl.core.database import Connection, Database
from outboxctl.core.operator import inject

TRANSACTIONS = 500  # a second at the most; faster rates write several events in each
WRITERS = 4  # sessions: so many transactions can be under way at once
WARM_UP = 3.0  # seconds at the beginning that do not count
TEXT = "word " * 80
Act = Callable[[Connection], object]  # what is done in a transaction


class Planned(NamedTuple):
    """One transaction: seconds from the start until it begins, and its entities."""

    at: float
    ids: list[UUID]


class Committed(NamedTuple):
    """When COMMIT returned (seconds since the epoch), and how late the transaction began."""

    at: float
    late: float


def planned(rate: int, seconds: float) -> Iterator[Planned]:
    """`rate` events a second, several in a transaction where it exceeds TRANSACTIONS."""
    together = max(1, rate // TRANSACTIONS)
    for number in range(int(rate * (WARM_UP + seconds) / together)):
        yield Planned(number * together / rate, [uuid4() for _ in range(together)])


def write(url: str, plan: Sequence[Planned]) -> list[Committed]:
    """Carry out the plan, each transaction by whichever session is free; in a process of its own.

    The sessions are opened by the first transactions, which do not count.
    """
    return _carried_out(url, [(each.at, partial(_upsert, each.ids)) for each in plan])


def execute(url: str, plan: Sequence[tuple[float, str]]) -> list[Committed]:
    """The same of other transactions: seconds from the start until each begins, and its one statement."""
    return _carried_out(url, [(at, partial(_execute, statement)) for at, statement in plan])


def _carried_out(url: str, plan: Sequence[tuple[float, Act]]) -> list[Committed]:
    with closing(Database(url, connections=WRITERS)) as database, ThreadPoolExecutor(WRITERS) as pool:
        start = time() + 0.1
        return list(pool.map(lambda each: _transaction(database, start, *each), plan))


def _transaction(database: Database, start: float, at: float, act: Act) -> Committed:
    sleep(max(0.0, start + at - time()))
    late = time() - start - at
    with database.begin() as connection:
        act(connection)
    return Committed(time(), late)


def _upsert(ids: Sequence[UUID], connection: Connection) -> None:
    contents = [f"{id_} {TEXT}" for id_ in ids]
    inject.upserts(connection, entity_type=inject.ENTITY_TYPE, ids=ids, contents=contents)


def _execute(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
