"""Rows of one table: outboxctl and pgsync on the same rows and servers, in turns."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from random import Random
from time import time
from typing import Any

import psutil

from benchmarks import processes, rows, shop
from benchmarks.command import OTHERS, collected, ratios, say, turns
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs, spent
from benchmarks.report import Section
from outboxctl.core.database import Database
from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.sql import text
from outboxctl.drills.bench import process, sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.drills.load import content
from outboxctl.sink.index import index_setup

TITLE = "Beside pgsync"
BY = ("--by", "bench", "--reason", "bench", "--yes")
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
TIMES, LAG = 3.0, 1.0  # the targets: of the first fill, and seconds behind the writer
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
RATIOS = {"first fill, outboxctl/pgsync": "fill", "updates, outboxctl/pgsync": "updates"}
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
Started = tuple[dict[str, float], list[psutil.Process]]  # figures of the first fill, and who goes on


def run(rig: Rig, args: Namespace) -> Section:
    """Both in turns, the other way round each time."""
    rig, pgsync = replace(rig, patience=shop.PATIENCE), Pgsync(rig, args, PGSYNC)
    args = Namespace(**vars(args), text=sink.text_of(rig, args.bytes))  # which empties the tables
    indexes = {"outboxctl": rig.settings.elastic_index, "pgsync": PGSYNC.name}
    tools: dict[str, Callable[[], AbstractContextManager[Started]]] = {
        "outboxctl": lambda: _outboxctl(rig),
        "pgsync": lambda: pgsync.filled(args.rows),
    }

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in turns(tools, number):
            rows.entities(rig, args.rows, args.text)
            rig.checkpoint()
            with tools[name]() as (figures, running):
                found |= figures | {f"{name}: fill": args.rows / figures[f"{name}: fill"]}
                found |= _updates(rig, name, indexes[name], running, args)
                must(all(map(runs, running)), f"{name} has ended")
        return found

    say("warm-up: a repetition that does not count")
    repetition(0)
    values = collected(rig, args.repeat, repetition)
    figures = [_figure(name, each) for name, each in values.items()]
    for name, what in RATIOS.items():
        pairs = ratios(values[f"outboxctl: {what}"], values[f"pgsync: {what}"])
        target = TIMES if what == "fill" else None
        figures.append(BenchFigure(name, "", pairs, target, at_least=True, digits=2))
    about = f"{args.rows:,} rows of {args.bytes} bytes of JSON, {args.repeat} repetitions in turns"
    return Section(TITLE, f"{about}; pgsync {VERSION}.", figures, NOTES)


@contextmanager
def _outboxctl(rig: Rig) -> Iterator[Started]:
    """The index, filled by a rebuild; then a worker."""
    filled = process.run(rig, "rebuild", *BY)
    with processes.serving(rig) as worker:
        cpu = {"own": filled.worker, "PostgreSQL": filled.postgres, "Elasticsearch": filled.engine}
        figures = {f"outboxctl: fill, {whose} CPU": seconds for whose, seconds in cpu.items()}
        yield figures | {"outboxctl: fill": filled.wall}, [psutil.Process(worker.pid)]


def _updates(
    rig: Rig, name: str, index: str, running: list[psutil.Process], args: Namespace
) -> dict[str, float]:
    count = args.rows
    filled = index_setup.count(rig.client, index)
    must(name == "pgsync" or filled == count, f"{filled} of {count} documents are in {index}")
    before = spent(rig, running)
    began, ended = updated(rig, args.text, events=name == "outboxctl")
    found = shop.found_at(rig, index, count, ended, UPDATED)
    missing = count - index_setup.count(rig.client, index, UPDATED)
    must(name == "pgsync" or not missing, f"{missing} updates were not brought")
    return {
        f"{name}: documents too many or too few": abs(filled - count),
        f"{name}: updates that never came": missing,
        f"{name}: updates": count / (found - began),
        f"{name}: its writer": count / (ended - began),
        f"{name}: lag": found - ended,
        **{f"{name}: updates, {whose} CPU": s - before[whose] for whose, s in spent(rig, running).items()},
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


def _figure(name: str, values: list[float]) -> BenchFigure:
    if name == OTHERS or name.endswith(("never came", "too few")):
        return BenchFigure(name, "", values, digits=2 if name == OTHERS else 0)
    if "CPU" in name or "lag" in name or "bootstrap" in name:
        target = LAG if name == "outboxctl: lag" else None
        return BenchFigure(name, "s", values, target, digits=2)
    return BenchFigure(name, "docs/s" if name.endswith("fill") else "rows/s", values)
