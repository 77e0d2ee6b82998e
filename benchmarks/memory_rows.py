"""A backlog that never ends: a million pending events about a few thousand entities."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from benchmarks.servers import say
from outboxctl.core import benchmark_tables
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig

ENTITIES = 20_000  # a batch meets a thousand different ones, and the table of rows stays small
LOOK = 5.0  # seconds between two looks at what is left
SOURCES = text(f"""
INSERT INTO {SOURCE} (id, entity_type, entity_id, text, snippet, event_version)
SELECT gen_random_uuid(), 'block', gen_random_uuid(),
    left(repeat(md5(n::text) || ' ', :bytes / 33 + 1), :bytes), 'snippet ' || n, 1
FROM generate_series(1, {ENTITIES}) n
""")
# Round by round, so that the same entity comes again only after all the others.
PENDING = text(f"""
INSERT INTO {EVENTS} (id, entity_type, entity_id, op, event_version, status, created_at, updated_at)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', 1, 'pending',
    now() + round * interval '1 ms', now()
FROM generate_series(1, :rounds) round, {SOURCE} ORDER BY round
""")
AGAIN = text(f"""
UPDATE {EVENTS} SET status = 'pending', attempts = 0, processed_at = NULL, updated_at = now()
WHERE status = 'done'
""")


def make(rig: Rig, events: int, size: int) -> None:
    """Empty tables, then `events` pending events about rows with `size` bytes of text."""
    fill.reset(rig)
    with rig.database.begin() as connection:
        connection.execute(SOURCES, {"bytes": size})
        connection.execute(PENDING, {"rounds": max(1, events // ENTITIES)})
    fill.vacuum(rig)
    rig.checkpoint()


@contextmanager
def endless(rig: Rig, events: int) -> Iterator[None]:
    """Meanwhile what is done becomes pending again whenever half of it is."""
    ended = threading.Event()
    thread = threading.Thread(target=_refill, args=(rig, events, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _refill(rig: Rig, events: int, ended: threading.Event) -> None:
    while not ended.wait(LOOK):
        with rig.database.begin() as connection:
            done = benchmark_tables.done(connection)
            if done > events / 2:
                say(f"{done:,} done events are pending again")
                connection.execute(AGAIN)
