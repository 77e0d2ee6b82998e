"""Rows of one table: outboxctl and pgsync on the same rows and servers, in turns."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil

from benchmarks import processes, shop, sink, tables
from benchmarks.command import OTHERS, collected, ratios, say, turns
from benchmarks.figure import BenchFigure
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs, spent
from benchmarks.processes import BY
from benchmarks.report import Section
from benchmarks.rig import Rig, must
from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.sink.index import index_setup

TITLE = "Beside pgsync"
PGSYNC = PgsyncIndex(
    "pgsync-peers",
    {"table": SOURCE, "columns": [*index_setup.MAPPING["properties"]]},
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
FROM unnest(CAST(%(ids)s AS uuid[]), CAST(%(contents)s AS text[])) n (id, content) WHERE s.id = n.id
"""
# What an outbox asks of the application besides.
WITH_EVENTS = f"""
WITH written AS ({UPDATE} RETURNING s.entity_type, s.entity_id, s.event_version)
INSERT INTO {EVENTS} ({COLUMNS})
SELECT entity_type, entity_id, 'upsert', event_version, 'pending', 0, 0, now(), now() FROM written
"""
RATIOS = {"first fill, outboxctl/pgsync": "fill", "updates, outboxctl/pgsync": "updates"}
COUNTED = ("never came", "too few", "wrong")  # words of figures that count rows or documents
Started = tuple[dict[str, float], list[psutil.Process]]  # figures of the first fill, and who goes on
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
    pgsync, size = Pgsync(rig, args, PGSYNC), sink.text_of(rig, args.bytes)
    indexes = {"outboxctl": rig.settings.elastic_index, "pgsync": PGSYNC.name}

    def filling(name: str) -> AbstractContextManager[Started]:
        return outboxctl(rig) if name == "outboxctl" else pgsync.filled(args.rows)

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in turns(indexes, number):
            tables.entities(rig, args.rows, size)
            with filling(name) as (figures, running):
                found |= figures | {f"{name}: fill": args.rows / figures[f"{name}: fill"]}
                found |= _updates(rig, name, indexes[name], running, count=args.rows, size=size)
                must(all(map(runs, running)), f"{name} has ended")
        return found

    about = f"{args.rows:,} rows of {args.bytes} bytes of JSON, {args.repeat} repetitions in turns"
    return Section(TITLE, f"{about}; pgsync {VERSION}.", figures(rig, args.repeat, repetition), NOTES)


@contextmanager
def outboxctl(rig: Rig, *flags: str) -> Iterator[Started]:
    """An index that `rebuild` with these flags has filled; then a worker."""
    filled = processes.run(rig, "rebuild", *flags, *BY)
    with processes.serving(rig) as worker:
        cpu = {"own": filled.worker, "PostgreSQL": filled.postgres, "Elasticsearch": filled.engine}
        figures = {f"outboxctl: fill, {whose} CPU": seconds for whose, seconds in cpu.items()}
        yield figures | {"outboxctl: fill": filled.wall}, [psutil.Process(worker.pid)]


def _updates(
    rig: Rig, name: str, index: str, running: list[psutil.Process], *, count: int, size: int
) -> dict[str, float]:
    filled = index_setup.count(rig.client, index)
    must(name == "pgsync" or filled == count, f"{filled} of {count} documents are in {index}")
    found = updates(
        rig,
        name,
        running,
        count,
        write=lambda: shop.updated(rig, UPDATE if name == "pgsync" else WITH_EVENTS, IDS, size),
        found_at=lambda ended: shop.found_at(rig, index, count, ended, UPDATED),
    )
    missing = count - index_setup.count(rig.client, index, UPDATED)
    must(name == "pgsync" or not missing, f"{missing} updates were not brought")
    return {
        f"{name}: documents too many or too few": abs(filled - count),
        f"{name}: updates that never came": missing,
        **found,
    }


def updates(
    rig: Rig,
    name: str,
    running: list[psutil.Process],
    rows: int,
    *,
    write: Callable[[], tuple[float, float]],
    found_at: Callable[[float], float],
) -> dict[str, float]:
    """The figures of `rows` updates of the tool `name`, whose processes are `running`.

    `write` makes the updates and returns when it began and ended, `found_at` when a search found the last
    of them, by the writer's end; seconds since the epoch.
    """
    before = spent(rig, running)
    began, ended = write()
    found = found_at(ended)
    return {
        f"{name}: updates": rows / (found - began),
        f"{name}: its writer": rows / (ended - began),
        f"{name}: lag": found - ended,
        **{f"{name}: updates, {whose} CPU": s - before[whose] for whose, s in spent(rig, running).items()},
    }


def figures(rig: Rig, repeat: int, repetition: Callable[[int], Mapping[str, float]]) -> list[BenchFigure]:
    """What `repetition` measures, by name, and the ratios of both tools; the first does not count."""
    say("warm-up: a repetition that does not count")
    repetition(0)
    values = collected(rig, repeat, repetition)
    return [_figure(name, each) for name, each in values.items()] + compared(values, RATIOS)


def compared(values: Mapping[str, list[float]], names: Mapping[str, str]) -> list[BenchFigure]:
    """The ratio of outboxctl's value to pgsync's, by the figure's name."""
    pairs = {name: (values[f"outboxctl: {what}"], values[f"pgsync: {what}"]) for name, what in names.items()}
    return [BenchFigure(name, "", ratios(*each), at_least=True, digits=2) for name, each in pairs.items()]


def _figure(name: str, values: list[float]) -> BenchFigure:
    if name == OTHERS:
        return BenchFigure(name, "", values, digits=2)
    if any(words in name for words in COUNTED):
        return BenchFigure(name, "", values)
    if "CPU" in name or "lag" in name or "bootstrap" in name:
        return BenchFigure(name, "s", values, digits=2)
    return BenchFigure(name, "docs/s" if name.endswith("fill") else "rows/s", values)
