"""One, two and four workers: on a real sink, and on one that is not the limit."""

import os
from argparse import Namespace
from dataclasses import dataclass, field

from benchmarks import crew, rows
from benchmarks.crew import Crew
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import ratios, turns
from outboxctl.drills.bench import fill, sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

TITLE = "Workers"
ROUNDS = 2  # events an entity: twice as many events, for two workers are soon done
NOTES = """\
- Each worker is a process of its own with the product's lanes; all begin together, and the clock runs from
  there to the end of the last. Their start-up is not in it.
- Null sink: takes everything at once. With one lane a worker uses about one core; with the default
  lanes one worker may already use nearly all cores, and then two cannot be much faster. "Cores used" shows
  it: the most that more workers can bring is all cores over those that one and its PostgreSQL used.
"""


@dataclass
class Variant:
    """So many workers with so many lanes (0: the default), and what each repetition gave."""

    name: str
    workers: int
    real: bool
    lanes: int = 0
    runs: list[Crew] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [run.rate for run in self.runs]


def variants() -> list[Variant]:
    """Those of the profile, none of them measured."""
    return [
        Variant("Elasticsearch, one", 1, real=True),
        Variant("Elasticsearch, two", 2, real=True),
        Variant("Elasticsearch, four", 4, real=True),
        Variant("null sink, one", 1, real=False),
        Variant("null sink, two", 2, real=False),
        Variant("null sink, one, one lane", 1, real=False, lanes=1),
        Variant("null sink, two, one lane", 2, real=False, lanes=1),
    ]


def run(rig: Rig, given: Namespace) -> Section:
    """Every variant in turn, a repetition after the other."""
    every = variants()
    rows.entities(rig, given.events, sink.text_of(rig, given.bytes))
    for number in range(1, given.repeat + 1):
        for variant in turns(every, number):
            measure(rig, variant, given.events)
            say(f"{variant.name}, {number} of {given.repeat}: {variant.runs[-1].rate:,.0f}/s")
    about = f"{ROUNDS * given.events:,} events, {given.repeat} repetitions, {rig.settings.concurrency} lanes."
    return Section(TITLE, about, _figures(every), NOTES)


def measure(rig: Rig, variant: Variant, events: int) -> None:
    """Fill and drain once."""
    rows.truncate(rig)
    rows.burst(rig, events, rounds=ROUNDS)
    fill.fresh_index(rig)
    rig.checkpoint()
    lanes = variant.lanes or rig.settings.concurrency
    settings = rig.settings.model_copy(update={"concurrency": lanes})
    done = crew.drain(rig, ROUNDS * events, settings, workers=variant.workers, real=variant.real)
    variant.runs.append(done)


def _figures(every: list[Variant]) -> list[BenchFigure]:
    by = {variant.name: variant for variant in every}
    rates = [BenchFigure(v.name, "events/s", v.rates) for v in every]
    return [*rates, *_against(by), *_cores(by)]


def _against(by: dict[str, Variant]) -> list[BenchFigure]:
    pairs = {
        "Elasticsearch, two/one": ("Elasticsearch, two", "Elasticsearch, one"),
        "Elasticsearch, four/one": ("Elasticsearch, four", "Elasticsearch, one"),
        "null sink, two/one": ("null sink, two", "null sink, one"),
        "null sink, two/one, one lane": ("null sink, two, one lane", "null sink, one, one lane"),
    }
    return [
        BenchFigure(name, "", ratios(by[more].rates, by[one].rates), at_least=True, digits=2)
        for name, (more, one) in pairs.items()
    ]


def _cores(by: dict[str, Variant]) -> list[BenchFigure]:
    """What a worker and its PostgreSQL leave of the cores bounds what a second worker can bring."""
    used = {v.name: [c.workers_cores + c.postgres_cores for c in v.runs] for v in by.values() if not v.real}
    left = [(os.cpu_count() or 1) / cores for cores in used["null sink, one"]]
    return [
        *(BenchFigure(f"{name}: cores used", "", values, digits=2) for name, values in used.items()),
        BenchFigure("null sink, the most that more workers can bring", "", left, digits=2),
    ]
