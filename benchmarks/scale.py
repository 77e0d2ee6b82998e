"""Workers away from both servers: what a delay costs, and what more workers bring; about eight minutes."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import SecretStr

from benchmarks import rows, workers
from benchmarks.command import OTHERS, collected, ratios, say, turns
from benchmarks.delay import Delayed, delayed
from benchmarks.report import Section
from outboxctl.drills.bench import sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

SMALL = 100  # events a batch with which a worker waits for the network most of the time
CPU = " CPU"  # how the name of a figure in us/event ends
WAL = "WAL of claim and settle"
TITLE = "Scale"
UNITS = {OTHERS: "", WAL: "bytes/event"}
WHO = {"worker": "workers", "postgres": "PostgreSQL", "engine": "Elasticsearch", "proxies": "proxies"}
NOTES = f"""\
- Delay: what a proxy process in front of each server adds to a round trip, half of it each way
  (benchmarks/delay.py): "5 ms" to both, "2 and 5 ms" to PostgreSQL and to the engine, "2 and 5 ms each way"
  twice that. "0 ms" goes through the same proxies, "no proxy" through none. The kernel had no netem. What a
  proxy does not imitate is TCP on a network: lost packets, and windows that open slowly.
- Ratios are those of one repetition.
- Each worker is a process of its own with the product's lanes; all begin together, and the clock runs from
  there to the end of the last.
- All processes share the cores of one machine: where they are busy, more workers bring nothing. With {SMALL}
  events a batch and a delay a worker waits for the network, and more workers bring what they would bring on
  machines of their own, until the cores are busy.
- CPU an event: of all processes of a kind, while one worker runs. WAL: from a checkpoint on, so with the
  images of whole pages.
"""


class Away(NamedTuple):
    """So many workers, and the milliseconds of a round trip to PostgreSQL and to the engine; none: no proxy.

    `bulk_size` is 0 where it is the rig's.
    """

    delay: str
    milliseconds: tuple[float, ...]
    workers: int = 1
    bulk_size: int = 0

    def __str__(self) -> str:
        size = f"{self.bulk_size} a batch, " if self.bulk_size else ""
        return f"{self.delay}, {size}{NUMBERS[self.workers]}"


class AwayRun(NamedTuple):
    """Events a second; microseconds of CPU by the kind of process and bytes of WAL, an event."""

    rate: float
    cpu: Mapping[str, float]
    wal: float


NUMBERS = {1: "one worker", 2: "two workers", 4: "four workers"}
DIRECT = Away("no proxy", ())
GRID = {delay: [Away(f"{delay} ms", (delay, delay), n) for n in NUMBERS] for delay in (0, 1, 5)}
LOOPBACK, FAR = GRID[0][0], GRID[5]
GOAL, EACH_WAY = Away("2 and 5 ms", (2, 5)), Away("2 and 5 ms each way", (4, 10))
WAITING = [away._replace(bulk_size=SMALL) for away in FAR]
CELLS = [DIRECT, *(away for line in GRID.values() for away in line), GOAL, EACH_WAY, *WAITING]
PAIRS = [
    *((line[0], LOOPBACK) for delay, line in GRID.items() if delay),
    *((away, LOOPBACK) for away in (GOAL, EACH_WAY)),
    *((away, DIRECT) for away in (LOOPBACK, GOAL)),
    *((more, line[0]) for line in [*GRID.values(), WAITING] for more in line[1:]),
]


def run(rig: Rig, args: Namespace) -> Section:
    """Every cell in turns, a repetition after the other, and one cell beforehand."""
    rows.entities(rig, args.events, sink.text_of(rig, args.bytes))
    say("warm-up")
    measure(rig, DIRECT, args.events)
    values = collected(rig, args.repeat, lambda number: _repetition(rig, number, args.events))
    figures = [
        *(_figure(name, some) for name, some in values.items()),
        *(_ratio(more, than, values) for more, than in PAIRS),
    ]
    size = f"{workers.ROUNDS * args.events:,} events of {args.bytes} bytes of JSON"
    tuning = f"{rig.settings.bulk_size:,} a batch, {rig.settings.concurrency} lanes a worker"
    return Section(TITLE, f"{size}, {tuning}, {args.repeat} repetitions.", figures, NOTES)


def _figure(name: str, values: list[float]) -> BenchFigure:
    costs = name.endswith(CPU)
    unit = UNITS.get(name, "us/event" if costs else "events/s")
    return BenchFigure(name, unit, values, digits=2 if name == OTHERS else int(costs))


def ratio_name(more: Away, than: Away) -> str:
    """The name of a ratio: only in what the two differ."""
    return f"{more} / {NUMBERS[1]}" if more.workers > 1 else f"{more.delay} / {than.delay}"


def _ratio(more: Away, than: Away, values: Mapping[str, list[float]]) -> BenchFigure:
    compared = ratios(values[str(more)], values[str(than)])
    return BenchFigure(ratio_name(more, than), "", compared, at_least=True, digits=2)


def _repetition(rig: Rig, number: int, entities: int) -> dict[str, float]:
    """Each cell's rate by its name and, for one worker, what an event cost each kind of process."""
    runs = {away: measure(rig, away, entities) for away in turns(CELLS, number)}
    return {name: value for away in CELLS for name, value in _named(away, runs[away])}


def _named(away: Away, run: AwayRun) -> Iterator[tuple[str, float]]:
    yield str(away), run.rate
    if away.workers == 1:
        yield from ((f"{away}: {WHO[who]}{CPU}", cpu) for who, cpu in run.cpu.items())
    if away == DIRECT:
        yield WAL, run.wal


def measure(rig: Rig, away: Away, entities: int) -> AwayRun:
    """Fill, and drain by workers whose ways to both servers are delayed; two events an entity."""
    with through(rig, away) as (far, proxies):
        before = sum(proxy.cpu_seconds() for proxy in proxies)
        run = workers.measure(far, workers.Variant(str(away), away.workers), entities)
        spent = {**run.cpu, "proxies": sum(proxy.cpu_seconds() for proxy in proxies) - before}
    say(f"{away}: {run.rate:,.0f} events/s")
    events = workers.ROUNDS * entities
    return AwayRun(run.rate, {who: 1e6 * each / events for who, each in spent.items()}, run.wal / events)


@contextmanager
def through(rig: Rig, away: Away) -> Iterator[tuple[Rig, list[Delayed]]]:
    """The rig with settings whose URLs lead through proxies, for workers; its own connections do not."""
    s = rig.settings
    urls = {"database_url": s.require_database_url(), "elastic_url": s.sink_urls[0]}
    with ExitStack() as stack:
        proxies = {
            name: stack.enter_context(delayed(urls[name], each / 1_000))
            for name, each in zip(urls, away.milliseconds, strict=False)
        }
        update: dict[str, Any] = {name: SecretStr(proxy.url(urls[name])) for name, proxy in proxies.items()}
        update |= {"bulk_size": away.bulk_size} if away.bulk_size else {}
        yield replace(rig, settings=s.model_copy(update=update)), [*proxies.values()]
