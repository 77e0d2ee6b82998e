"""Random writers on schemas in the style of public ones: each index ends with the rows of its view."""

import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import psycopg
import pytest

from engines.node import Node
from processes import Cli, Worker, eventually
from schemas import music, rental
from schemas.place import FAILED, UNFINISHED, Place
from schemas.tables import tables
from schemas.writer import write
from servers import Servers

pytestmark = [
    pytest.mark.real_engine,
    pytest.mark.slow(reason="writers of several sessions on a dozen tables, and workers that are killed"),
]
ROUNDS, SESSIONS, TRANSACTIONS = 6, 4, 80
FAST = {
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.1",
    "OUTBOX_BULK_SIZE": "50",
    "OUTBOX_MAX_ATTEMPTS": "50",
}


@pytest.fixture(params=[rental, music], ids=lambda schema: schema.NAME)
def place(
    request: pytest.FixtureRequest, sql: psycopg.Connection, cli: Cli, tmp_path: Path, judge: Node
) -> Iterator[Place]:
    """One of the schemas."""
    made = Place(request.param, sql, cli, tmp_path)
    yield made
    made.remove(judge)


@pytest.fixture
def judge(servers: Servers) -> Node:
    """An engine that is read digit by digit."""
    return Node(servers.sink, number=Decimal)


def test_indexes_end_with_the_rows_of_their_views_whatever_is_written_and_whoever_dies(
    place: Place, url: str, sql: psycopg.Connection, judge: Node, worker: Callable[..., Worker]
) -> None:
    workers = [worker(**FAST), worker(**FAST)]
    schema, chance = place.schema, Random(1)
    for number in range(ROUNDS):
        if number == 1 and schema.LATER:
            sql.execute(schema.LATER)
        counts = write(
            url,
            tables(sql, schema.NAME),
            schema.VALUES,
            seed=number,
            sessions=SESSIONS,
            transactions=TRANSACTIONS,
        )
        assert counts["transactions"] > SESSIONS * TRANSACTIONS / 2, counts
        if number:
            sql.execute(f"TRUNCATE {schema.EMPTIED}")
        victim = chance.randrange(len(workers))
        workers[victim].signal(signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = worker(**FAST)
        eventually(lambda: not sql.execute(UNFINISHED).rowcount, within=120, what="delivered")
        assert sql.execute(FAILED).fetchall() == []
        assert place.differences(judge) == []
