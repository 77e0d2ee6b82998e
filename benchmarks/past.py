"""Tables with a past: databases of their own, filled once."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from pydantic import SecretStr
from sqlalchemy import text

from benchmarks import rows
from benchmarks.servers import say
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.namespaces import create_database, drop_database
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig

FILLERS = 2  # at once: one statement keeps one core busy
# In the order in which a table fills, from 60 to 8 days ago. The id is the column's own default, unless
# `random`: that is what an application makes which draws its ids itself.
INSERT = """
INSERT INTO {events} (entity_type, entity_id, op, event_version, attempts, status, next_retry_at,
    error_reason, processed_at, created_at, updated_at{id})
SELECT 'load', md5('entity' || n)::uuid, 'upsert', 1, 1, {status}, t, t{value}
FROM generate_series(1, :rows) n,
    LATERAL (SELECT now() - interval '60 days' + n * (interval '52 days' / :rows) AS t) past
"""
STATUS = {
    "done": "'done', NULL, NULL, t",
    "waiting": "'pending', now() + interval '1 day' + n * interval '1 ms', 'connect', NULL",
    "failed": "'failed', NULL, 'mapping', NULL",
}


@dataclass(frozen=True)
class Past:
    """So many rows of one kind, beside which the measured events come and go."""

    kind: str = "done"
    rows: int = 0
    random: bool = False


@contextmanager
def databases(rig: Rig, pasts: Mapping[str, Past], entities: int, size: int) -> Iterator[dict[str, Rig]]:
    """A rig a past, on the same servers and the same index; all go in the end."""
    server, made = rig.settings.require_database_url(), []
    try:
        made.append(like := _migrated(rig, entities, size))
        rigs = {}
        for name in pasts:
            made.append(own := create_database(server, "bench_past", like=like))
            rigs[name] = _on(rig, own)
        largest_first = sorted(pasts, key=lambda name: -pasts[name].rows)
        with ThreadPoolExecutor(FILLERS) as pool:
            list(pool.map(lambda name: _fill(rigs[name], pasts[name], entities), largest_first))
        yield rigs
        for each in rigs.values():
            each.database.close()
    finally:
        for own in made:
            drop_database(server, own)


def _migrated(rig: Rig, entities: int, size: int) -> str:
    own = create_database(rig.settings.require_database_url(), "bench_past")
    there = _on(rig, own)
    with closing(there.database) as database:  # nobody may be connected to what is copied
        upgrade(database, None)
        rows.entities(there, entities, size)
    return own


def _on(rig: Rig, url: str) -> Rig:
    settings = rig.settings.model_copy(update={"database_url": SecretStr(url)})
    return replace(rig, settings=settings, database=Database(url))


def _fill(rig: Rig, past: Past, entities: int) -> None:
    say(f"filling {past.rows:,} {past.kind} rows{', random ids' if past.random else ''}")
    if past.kind == "pending":
        rows.burst(rig, entities, rounds=past.rows // entities)
    elif past.rows:
        id_, value = (", id", ", md5('event' || n)::uuid") if past.random else ("", "")
        insert = INSERT.format(events=EVENTS, status=STATUS[past.kind], id=id_, value=value)
        with rig.database.begin() as connection:
            connection.execute(text(insert), {"rows": past.rows})
    fill.vacuum(rig)
    rig.checkpoint()
