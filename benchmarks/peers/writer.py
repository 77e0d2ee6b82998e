"""A writer that updates every row once, some to a transaction, beside whoever brings them to the index."""

from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from random import Random
from time import monotonic

import psutil
from sqlalchemy import text

from benchmarks.peers import index
from outboxctl.core.database import Database
from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.drills.bench.process import SERVERS
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.drills.load.plan import content

COMMIT = 100
ROWS = f"""
UPDATE {SOURCE} s SET text = n.content, snippet = left(n.content, 200), event_version = s.event_version + 1,
    updated_at = now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:contents AS text[])) n (id, content) WHERE s.id = n.id
"""
# What an outbox asks of the application besides.
WITH_EVENTS = f"""
WITH written AS ({ROWS} RETURNING s.entity_type, s.entity_id, s.event_version)
INSERT INTO {EVENTS} ({COLUMNS})
SELECT entity_type, entity_id, 'upsert', event_version, 'pending', 0, 0, now(), now()
FROM written
"""
STANDING = text(f"SELECT count(*), min(event_version), max(event_version) FROM {SOURCE}")
IDS = text(f"SELECT id::text FROM {SOURCE} ORDER BY created_at, id")


@dataclass(frozen=True)
class Stream:
    """Rows a second of the writer and up to the last document, seconds of lag, CPU us a row by whose."""

    writer: float
    rate: float
    lag: float
    cpu: dict[str, float]


def stream(rig: Rig, name: str, size: int, processes: dict[str, int], *, events: bool) -> Stream:
    """Update every row once and wait until the index `name` holds all of the new versions.

    `processes` are those whose CPU is counted, by what to call them; the servers' is counted as well.
    """
    rows, version = _standing(rig)
    context, statement = get_context("spawn"), WITH_EVENTS if events else ROWS
    ready = context.Event()
    url = rig.settings.require_database_url()
    writer = context.Process(target=_write, args=(url, size, statement, ready))
    writer.start()
    must(ready.wait(index.PATIENCE), "the writer did not start")
    already, before, began = index.written(rig, name), _cpu(rig, processes), monotonic()
    writer.join(index.PATIENCE)
    ended = monotonic()
    must(writer.exitcode == 0, "the writer failed")
    index.wait_written(rig, name, already + rows)
    index.wait_version(rig, name, version + 1, rows)
    done = monotonic()
    cpu = {whose: 1e6 * (now - before[whose]) / rows for whose, now in _cpu(rig, processes).items()}
    return Stream(rows / (ended - began), rows / (done - began), done - ended, cpu)


def seconds(pid: int) -> float:
    """CPU time so far of a process and those that it started."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def _cpu(rig: Rig, processes: dict[str, int]) -> dict[str, float]:
    own = {whose: seconds(pid) for whose, pid in processes.items()}
    return own | {whose: rig.spent(whose) for whose in SERVERS}


def _standing(rig: Rig) -> tuple[int, int]:
    with rig.database.begin() as connection:
        rows, least, most = connection.execute(STANDING).one()
    must(least == most, "not all rows are of one version")
    return rows, most


def _write(url: str, size: int, statement: str, ready: Event) -> None:
    rng = Random(1)  # noqa: S311 - test data
    with closing(Database(url)) as database:
        with database.begin() as connection:
            ids = list(connection.execute(IDS).scalars())
        ready.set()
        for start in range(0, len(ids), COMMIT):
            some = ids[start : start + COMMIT]
            with database.begin() as connection:
                contents = [content(size, rng) for _ in some]
                connection.execute(text(statement), {"ids": some, "contents": contents})
