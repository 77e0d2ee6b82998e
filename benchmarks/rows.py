"""Rows written by single statements: no writer takes part in the figure. And databases that hold a past."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from pydantic import SecretStr

from benchmarks.command import say
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.schema.namespaces import create_database, drop_database
from outboxctl.core.sql import text
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import Rig

FILLERS = 2  # at once: one statement keeps one core busy
# `rounds` events an entity, each round over all of the first `entities`: a batch holds each at most once.
BURST = """
INSERT INTO {events} (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, '{op}', event_version + {later}
FROM (SELECT * FROM {source} ORDER BY entity_id LIMIT {entities}) s
CROSS JOIN generate_series(1, {rounds}) r ORDER BY r, entity_id
"""
# In the order in which a table fills. The id is the column's own default, unless `random`: that is what an
# application makes which draws its ids itself.
PAST = """
INSERT INTO {events} (entity_type, entity_id, op, event_version, attempts, status, next_retry_at,
    error_reason, processed_at, created_at, updated_at{id})
SELECT 'load', md5('entity' || n)::uuid, 'upsert', 1, 1, {status}, t, t{value}
FROM generate_series(1, {rows}) n, LATERAL (
    SELECT now() - interval '{oldest} days' + n * (interval '{days} days' / {rows}) AS t) past
"""
STATUS = {
    "done": "'done', NULL, NULL, t",
    "waiting": "'pending', now() + interval '1 day' + n * interval '1 ms', 'connect', NULL",
    "failed": "'failed', NULL, 'mapping', NULL",
}
TRUNCATE = "TRUNCATE {events}"


def execute(rig: Rig, statement: str, **values: str | int) -> None:
    """Execute one statement with these values, which are our own, put into it."""
    with rig.database.begin() as connection:
        connection.execute(text(statement.format(events=EVENTS, source=SOURCE, **values)))


def entities(rig: Rig, count: int, size: int) -> None:
    """Source rows with `size` bytes of text, and no events."""
    tables.reset(rig)
    tables.write(rig.database, count, size, 1_000)
    execute(rig, TRUNCATE)
    tables.vacuum(rig.database)


def empty(rig: Rig) -> None:
    """Delete and vacuum all events: the statistics have no rows."""
    execute(rig, "DELETE FROM {events}")
    tables.vacuum(rig.database)


def burst(rig: Rig, entities: int, *, rounds: int = 1, op: str = "upsert", later: int = 0) -> None:
    """Pending events: `rounds` for each of so many entities, `later` versions after their rows."""
    execute(rig, BURST, entities=entities, rounds=rounds, op=op, later=later)


@dataclass(frozen=True)
class Past:
    """So many rows of one kind, beside which the measured events come and go; created that many days ago."""

    kind: str = "done"
    rows: int = 0
    random: bool = False
    oldest: int = 60
    newest: int = 8


def write_past(rig: Rig, past: Past) -> None:
    """Insert the rows; nothing for none."""
    if past.rows:
        say(f"inserting {past.rows:,} {past.kind} rows{', random ids' if past.random else ''}")
        id_, value = (", id", ", md5('event' || n)::uuid") if past.random else ("", "")
        days = {"oldest": past.oldest, "days": past.oldest - past.newest}
        execute(rig, PAST, id=id_, value=value, status=STATUS[past.kind], rows=past.rows, **days)


@contextmanager
def databases(rig: Rig, pasts: Mapping[str, Past], count: int, size: int) -> Iterator[dict[str, Rig]]:
    """A database with its rig for each past, on the same servers and the same index; dropped at the end."""
    server, created, rigs = rig.settings.require_database_url(), [], {}
    try:
        created.append(template := create_database(server, "bench_past"))
        with closing((first := rig_at(rig, template)).database) as database:
            upgrade(database, None)
            entities(first, count, size)  # no connection is left: the template can be copied
        for name in pasts:
            created.append(url := create_database(server, "bench_past", like=template))
            rigs[name] = rig_at(rig, url)
        with ThreadPoolExecutor(FILLERS) as pool:
            list(pool.map(lambda name: _fill(rigs[name], pasts[name], count), pasts))
        yield rigs
        for each in rigs.values():
            each.database.close()
    finally:
        for url in created:
            drop_database(server, url)


def rig_at(rig: Rig, url: str) -> Rig:
    """The rig with another database, for the caller to close."""
    settings = rig.settings.model_copy(update={"database_url": SecretStr(url)})
    return replace(rig, settings=settings, database=Database(url))


def _fill(rig: Rig, past: Past, count: int) -> None:
    if past.kind == "pending":
        burst(rig, count, rounds=past.rows // count)
    else:
        write_past(rig, past)
    tables.flush(rig)
