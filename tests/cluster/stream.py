"""An application that goes on writing: updates, each with its event in one transaction."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from invariants import Engine, check_invariants, versions
from processes import eventually

INSERT = """
INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'text ' || n, 'text', 0 FROM generate_series(1, %s) n
"""
UPDATE = """
WITH chosen AS (SELECT id FROM search_index ORDER BY random() LIMIT %s FOR UPDATE),
written AS (
    UPDATE search_index SET event_version = event_version + 1, text = 'version ' || event_version + 1
    WHERE id IN (SELECT id FROM chosen)
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', event_version, 'pending' FROM written
"""
SOURCES = "SELECT entity_type || ':' || entity_id, event_version FROM search_index WHERE event_version > 0"


@dataclass
class Stream:
    """The writer; `written` counts its events, all committed."""

    url: str
    entities: int
    per_transaction: int
    pause: float
    written: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        """Until it is stopped, a transaction every `pause` seconds."""
        with psycopg.connect(self.url, autocommit=True) as sql:
            sql.execute(INSERT, [self.entities])
            while not self._stop.wait(self.pause):
                self.written += sql.execute(UPDATE, [self.per_transaction]).rowcount

    def stop(self) -> None:
        """Let it end."""
        self._stop.set()


@contextmanager
def streaming(
    url: str, *, entities: int = 200, per_transaction: int = 20, pause: float = 0.05
) -> Iterator[Stream]:
    """A stream of updates, written by a thread until the block ends (400 events a second by default)."""
    stream = Stream(url, entities, per_transaction, pause)
    thread = threading.Thread(target=stream.write, name="stream")
    thread.start()
    try:
        eventually(lambda: stream.written or not thread.is_alive(), what="the stream writes")
        yield stream
    finally:
        stream.stop()
        thread.join(30)
    assert stream.written


@contextmanager
def delivering(url: str, sql: psycopg.Connection, *, after: int = 200, **stream: Any) -> Iterator[Stream]:
    """`streaming`, once so many of its events are done: a worker is under way."""
    with streaming(url, **stream) as begun:
        eventually(lambda: done(sql) > after, what="under way")
        yield begun


def delivered(sql: psycopg.Connection, engine: Engine, index: str, stream: Stream) -> None:
    """All that was written is done, and each document is that of its row: nothing lost, nothing old."""
    eventually(lambda: done(sql) == stream.written, within=90, what=f"{stream.written} events done")
    check_invariants(sql, engine, index, rows=stream.written)
    source: dict[str, int] = dict(sql.execute(SOURCES).fetchall())
    assert versions(engine, index, sorted(source)) == source


def done(sql: psycopg.Connection) -> int:
    """How many events are."""
    row = sql.execute("SELECT count(*) FROM search_outbox_events WHERE status = 'done'").fetchone()
    return int(row[0]) if row else 0
