"""Rows of one table: outboxctl and pgsync on the same rows and servers, in turns."""

from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from multiprocessing import get_context
from random import Random
from time import time
from typing import Any

import psutil

from benchmarks import beside, rows, shop
from benchmarks.command import turns
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs
from benchmarks.report import Section
from outboxctl.core.database import Database
from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.sql import text
from outboxctl.drills.bench import sink
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.drills.load import content
from outboxctl.sink.index import index_setup

TITLE = "Beside pgsync"
FIELDS = [*index_setup.MAPPING["properties"]]
PGSYNC = PgsyncIndex(
    "pgsync-peers",
    {"table": SOURCE, "columns": FIELDS},
    index_setup.MAPPING
    | {
        "properties": index_setup.MAPPING["properties"]
        | {"_meta": {"properties": {SOURCE: {"properties": {"id": {"type": "keyword"}}}}}}
    },
)
UPDATED: dict[str, Any] = {"range": {"event_version": {"gte": 2}}}
IDS = f"SELECT id::text FROM {SOURCE} ORDER BY id"
UPDATE = f"""
UPDATE {SOURCE} s SET text = n.content, snippet = left(n.content, 200), event_version = 2, updated_at = now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:contents AS text[])) n (id, content) WHERE s.id = n.id
"""
# What an outbox asks of the application besides.
WITH_EVENTS = f"""
WITH written AS ({UPDATE} RETURNING s.entity_type, s.entity_id, s.event_version)
INSERT INTO {EVENTS} ({COLUMNS})
SELECT entity_type, entity_id, 'upsert', event_version, 'pending', 0, 0, now(), now() FROM written
"""
NOTES = f"""\
- Each on tables that are filled anew; mapping, shards and refresh of both indexes are the same: none while it
  is filled, then the engine's default. PostgreSQL writes a logical log throughout, which only pgsync needs.
  A repetition beforehand does not count.
- First fill: `outboxctl rebuild`, from exec to exit, with its comparison of every document; pgsync {VERSION}
  as a daemon, from exec until the index has counted the last document. Its bootstrap is a figure of its own.
- Updates: one writer changes each row once, {shop.PER_COMMIT} rows a commit, beside the running worker or
  daemon; for outboxctl it writes an event with each row, for pgsync its trigger sends a notification.
  "Updates" are the rows until a search finds all new versions, "lag" is from the writer's end until then.
  Updates that never came are not in the index when nothing has been written to it for {shop.QUIET:g} s; then
  both figures are up to the last write. "Documents too many or too few" are counted before the updates.
  outboxctl's must be right, or the run ends with an error.
- CPU: of `rebuild` and of the worker; of pgsync and its Redis; and of both servers.
- pgsync has {", ".join(f"{name}={value}" for name, value in SETTINGS.items())}; outboxctl its defaults.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Both in turns, the other way round each time."""
    rig, pgsync = replace(rig, patience=shop.PATIENCE), Pgsync(rig, args, PGSYNC)
    args = Namespace(**vars(args), text=sink.text_of(rig, args.bytes))  # which empties the tables
    indexes = {"outboxctl": rig.settings.elastic_index, "pgsync": PGSYNC.name}

    def filling(name: str) -> AbstractContextManager[beside.Started]:
        return beside.outboxctl(rig) if name == "outboxctl" else pgsync.filled(args.rows)

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in turns(indexes, number):
            rows.entities(rig, args.rows, args.text)
            rig.checkpoint()
            with filling(name) as (figures, running):
                found |= figures | {f"{name}: fill": args.rows / figures[f"{name}: fill"]}
                found |= _updates(rig, name, indexes[name], running, args)
                must(all(map(runs, running)), f"{name} has ended")
        return found

    about = f"{args.rows:,} rows of {args.bytes} bytes of JSON, {args.repeat} repetitions in turns"
    figures = beside.figures(rig, args.repeat, repetition)
    return Section(TITLE, f"{about}; pgsync {VERSION}.", figures, NOTES)


def _updates(
    rig: Rig, name: str, index: str, running: list[psutil.Process], args: Namespace
) -> dict[str, float]:
    count = args.rows
    filled = index_setup.count(rig.client, index)
    must(name == "pgsync" or filled == count, f"{filled} of {count} documents are in {index}")
    found = beside.updates(
        rig,
        name,
        running,
        count,
        write=lambda: updated(rig, args.text, events=name == "outboxctl"),
        found_at=lambda ended: shop.found_at(rig, index, count, ended, UPDATED),
    )
    missing = count - index_setup.count(rig.client, index, UPDATED)
    must(name == "pgsync" or not missing, f"{missing} updates were not brought")
    return {
        f"{name}: documents too many or too few": abs(filled - count),
        f"{name}: updates that never came": missing,
        **found,
    }


def updated(rig: Rig, size: int, *, events: bool) -> tuple[float, float]:
    """Update every row once, in a process of its own: when it began, and when its last commit was done."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        url = rig.settings.require_database_url()
        return pool.submit(_update, url, size, WITH_EVENTS if events else UPDATE).result(shop.PATIENCE)


def _update(url: str, size: int, statement: str) -> tuple[float, float]:
    rng = Random(1)  # noqa: S311 - test data
    with closing(Database(url)) as database:
        with database.begin() as connection:
            ids = list(connection.exec_driver_sql(IDS).scalars())
        rng.shuffle(ids)
        began = time()
        for start in range(0, len(ids), shop.PER_COMMIT):
            some = ids[start : start + shop.PER_COMMIT]
            with database.begin() as connection:
                contents = [content(size, rng) for _ in some]
                connection.execute(text(statement), {"ids": some, "contents": contents})
        return began, time()
