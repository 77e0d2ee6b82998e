"""An open loop of transactions: each has its time from the beginning on, and none is left out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from time import sleep, time
from typing import NamedTuple
from uuid import UUID, uuid4

from outboxctl.core.database import Connection, Database
from outboxctl.core.operator import inject
from outboxctl.core.schema.names import SOURCE
from outboxctl.drills.bench.rig import must
from outboxctl.drills.load import ENTITY_TYPE as LOADED

TRANSACTIONS = 500  # a second at the most; faster rates write several events in each
WRITERS = 4  # sessions: so many transactions can be under way at once
WARM_UP = 3.0  # seconds at the beginning that do not count
PER_SECOND = 100  # transactions of a steady stream beside a fill
IDS = f"SELECT entity_id FROM {SOURCE} ORDER BY created_at, id LIMIT 100000"
TEXT = "word " * 80
Act = Callable[[Connection], object]  # what is done in a transaction


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


@contextmanager
def updating(url: str, rate: int) -> Iterator[None]:
    """Within the block a process changes rows, each with its event, `rate` a second, again and again.

    Raises OutboxctlError at the end where it has ended before.
    """
    context = get_context("spawn")
    process = context.Process(target=_update, args=(url, rate), daemon=True)
    process.start()
    try:
        yield
        must(process.is_alive(), "the writer has ended")
    finally:
        process.terminate()
        process.join()


def _update(url: str, rate: int) -> None:
    together = max(1, rate // PER_SECOND)
    with closing(Database(url, connections=WRITERS)) as database, ThreadPoolExecutor(WRITERS) as pool:
        with database.begin() as connection:
            ids = list(connection.exec_driver_sql(IDS).scalars())
        starts = (start for _ in count() for start in range(0, len(ids) - together + 1, together))
        some_ids = (partial(_upsert, ids[s : s + together], LOADED) for s in starts)
        plan = ((n * together / rate, act) for n, act in enumerate(some_ids))
        start = time() + 0.1
        while some := list(islice(plan, PER_SECOND)):  # a second's at a time: a plan of millions needs none
            list(pool.map(lambda each: _transaction(database, start, *each), some))


def write(url: str, plan: Sequence[Planned]) -> list[Committed]:
    """Carry out the plan, each transaction by whichever session is free; in a process of its own.

    The sessions are opened by the first transactions, which do not count.
    """
    return _carried_out(url, [(each.at, partial(_upsert, each.ids, inject.ENTITY_TYPE)) for each in plan])


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
        written = time()
    committed = time()
    return Committed(committed, late, committed - written)


def _upsert(ids: Sequence[UUID], kind: str, connection: Connection) -> None:
    contents = [f"{id_} {TEXT}" for id_ in ids]
    inject.upserts(connection, entity_type=kind, ids=ids, contents=contents)


def _execute(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
