"""The first fill: `rebuild` against what both ends can do alone, and beside live events."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from time import perf_counter, sleep

from benchmarks import nested, rows, shop
from benchmarks.command import OTHERS, collected, say
from benchmarks.processes import serving, wait_until
from benchmarks.rebuilds import LOOK, WHOSE, rebuild
from benchmarks.report import BESIDE, Section
from benchmarks.writer import updating
from outboxctl.core.documents import source_stream
from outboxctl.core.projections import choosing
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.operations.rebuild.projected import ProjectionSource
from outboxctl.operations.rebuild.source import PAGE_BYTES
from outboxctl.sink.delivery.raw import RawActions
from outboxctl.sink.index import index_setup

TITLE = "First fill"
MOST = 1_000_000  # documents that S sends, from memory
FEW = 100_000  # documents for which one, two and three senders are tried
PATIENCE = 3_600.0  # seconds
ALONE = 5.0  # seconds of live events before the rebuild begins
# Of what was not tried yet, and of what is being sent: each by its partial index.
OLDEST = f"""
SELECT coalesce(extract(epoch FROM now() - least(
    (SELECT created_at FROM {EVENTS} WHERE status = 'pending' AND next_retry_at IS NULL
        ORDER BY next_retry_at, created_at LIMIT 1),
    (SELECT min(created_at) FROM {EVENTS} WHERE status = 'processing'))), 0)
"""
UNITS = {"CPU": "us/document", "memory": "MB", "lag": "s"}
BOUND = "F/bound"
RATIOS = ("F/S", "F/(S and R)", BOUND, "whole/S")
NOTES = f"""\
- S: as in "Pipeline", but as many documents as are filled ({MOST:,} at the most), since a document costs more
  the larger its index is; by 1, 2 or 3 senders, whichever was best with the first {FEW:,}. R: a process that
  reads all rows as the rebuild does, and sends nothing. Bound: the lower of S and 1 / (1/R + 1/S), since all
  share the cores of one machine.
- F: a real `outboxctl rebuild --yes`, from the row's phase `fill` to the next one; its CPU an entity, and
  that of both servers, are of these seconds. "Whole": from exec to exit, with start, swap and the comparison
  of all entities. Memory: the most of the whole process.
- Nested: the projection of "Nested documents", five children a document.
"""
BESIDE_NOTES = f"""\
- A worker with its defaults; a writer changes rows, each with its event, 1 to 50 in a
  transaction, at a steady rate. Lag: the age of the oldest event that is not done, looked at every
  {1_000 * LOOK:g} ms, at its 99th percentile: {ALONE:g} s before the rebuild, and while it fills.
- The writer, the worker, the rebuild and both servers share the cores. F: as in "First fill"; the rounds of
  catching up and the comparison come after it.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """All in turns, once before that does not count for the engine."""
    rig, text = replace(rig, patience=PATIENCE), sink.text_of(rig, args.bytes)

    def repetition(_number: int) -> dict[str, float]:
        _write(rig, args.rows, text)
        found = _bounds(rig, args.rows) | _filled(rig, args.rows, "")
        found |= _ratios(found)
        if args.parents:
            found |= _nested(rig, args.parents)
        return found

    _warm_up(rig, args.rows, text)
    figures = [_figure(name, each) for name, each in collected(rig, args.repeat, repetition).items()]
    about = f"{args.rows:,} rows and {args.parents:,} nested documents, {args.bytes} bytes of JSON a row"
    return Section(TITLE, f"{about}; {args.repeat} repetitions.", figures, NOTES)


def beside(rig: Rig, args: Namespace) -> Section:
    """A fill beside a steady stream of events, at each of the rates."""
    rig, text = replace(rig, patience=PATIENCE), sink.text_of(rig, args.bytes)
    rates = [int(rate) for rate in args.rates.split(",")]

    def repetition(_number: int) -> dict[str, float]:
        runs = [_beside(rig, args.rows, text, rate) for rate in rates]
        return {name: value for found in runs for name, value in found.items()}

    _warm_up(rig, args.rows, text)
    figures = [_figure(name, each) for name, each in collected(rig, args.repeat, repetition).items()]
    about = f"{args.rows:,} rows of {args.bytes} bytes of JSON; {args.repeat} repetitions."
    return Section(BESIDE, about, figures, BESIDE_NOTES)


def _warm_up(rig: Rig, count: int, text: int) -> None:
    say("warm-up")
    _write(rig, few := min(count, FEW), text)
    sink.warm_up(rig, _bodies(rig), few, documents=min(count, sink.WARM_UP))


def quick(rig: Rig, count: int, size: int, repeat: int) -> list[BenchFigure]:
    """The fill of fewer rows against its bound."""
    _write(rig, count, sink.text_of(rig, size))
    sink.warm_up(rig, _bodies(rig), count, documents=min(count, sink.WARM_UP))
    each = [_ratios(_bounds(rig, count) | _filled(rig, count, ""))[BOUND] for _ in range(repeat)]
    return [_figure(BOUND, each)]


def _write(rig: Rig, count: int, text: int) -> None:
    rows.entities(rig, count, text)
    rig.checkpoint()


def _bounds(rig: Rig, count: int) -> dict[str, float]:
    bodies, few = _bodies(rig), min(count, FEW)
    by_senders = sink.limit(rig, bodies[: few // rig.settings.bulk_size], few)
    senders = max(by_senders, key=by_senders.__getitem__)
    best = by_senders[senders] if few == count else sink.rate(rig, bodies, senders, min(count, MOST))
    reading = count / _seconds(lambda: sum(map(len, _pages(rig))))
    return {"S: sink alone": best, "R: reading alone": reading}


def _pages(rig: Rig) -> Iterator[source_stream.Page]:
    return source_stream.pages(rig.database, None, size=rig.settings.bulk_size, most=PAGE_BYTES)


def _bodies(rig: Rig) -> list[bytes]:
    pages = islice(_pages(rig), MOST // rig.settings.bulk_size)
    return [RawActions(page).body() or b"" for page in pages]


def _seconds(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def _filled(rig: Rig, count: int, prefix: str, *args: str, index: str = "") -> dict[str, float]:
    tables.flush(rig)
    if not index:
        tables.fresh_index(rig)
    filled = rebuild(rig, *args)
    held = index_setup.count(rig.client, index or rig.settings.elastic_index)
    must(held == count, f"{held} documents for {count} entities")
    cpu = {f"{prefix}{WHOSE[name]} CPU": 1e6 * seconds / count for name, seconds in filled.cpu.items()}
    rates = {f"{prefix}F: filling": count / filled.seconds, f"{prefix}whole": count / filled.whole}
    return {**rates, **cpu, f"{prefix}memory": filled.memory}


def _ratios(found: Mapping[str, float]) -> dict[str, float]:
    s, r, f = found["S: sink alone"], found["R: reading alone"], found["F: filling"]
    both = 1 / (1 / r + 1 / s)
    return dict(zip(RATIOS, (f / s, f / both, f / min(s, both), found["whole"] / s), strict=True))


def _nested(rig: Rig, parents: int) -> dict[str, float]:
    """A projection with children: what reading it alone does, and its fill."""
    shop.fill(rig, parents)
    with nested.declared(rig):
        with rig.database.begin() as connection:
            (projection,) = choosing.declared(connection)
        pages = ProjectionSource(projection).pages(rig.database, {"cursor": None}, rig.settings.bulk_size)
        reading = parents / _seconds(lambda: sum(page.batch.read for page in pages))
        index = nested.index_of(rig)
        found = _filled(rig, parents, "nested: ", "--projection", "nested", index=index)
    return {"nested: R: reading alone": reading, **found}


def _beside(rig: Rig, count: int, text: int, rate: int) -> dict[str, float]:
    """A fill beside a steady stream of events, and the worker's lag before and meanwhile."""
    _write(rig, count, text)
    tables.fresh_index(rig)
    alone, meanwhile = list[float](), list[float]()
    with serving(rig), updating(rig.settings.require_database_url(), rate):
        wait_until(lambda: tables.done(rig) > rate, "the first events")
        end = perf_counter() + ALONE
        while perf_counter() < end:
            alone.append(tables.number(rig, OLDEST))
            sleep(LOOK)
        filled = rebuild(rig, look=lambda: meanwhile.append(tables.number(rig, OLDEST)))
    names = (f"{rate:,}/s: lag alone", f"{rate:,}/s: lag beside a fill", f"{rate:,}/s: F: filling")
    values = (_percentile(alone), _percentile(meanwhile), count / filled.seconds)
    return dict(zip(names, values, strict=True))


def _percentile(values: list[float]) -> float:
    return sorted(values)[max(0, round(0.99 * len(values)) - 1)] if values else 0.0


def _figure(name: str, values: list[float]) -> BenchFigure:
    if name in RATIOS or name == OTHERS:
        return BenchFigure(name, "", values, at_least=name in RATIOS, digits=2)
    kind = next((unit for word, unit in UNITS.items() if word in name), "docs/s")
    return BenchFigure(name, kind, values, digits={"us/document": 1, "s": 2}.get(kind, 0))
