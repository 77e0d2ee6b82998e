"""Small, usual and large documents: where the limit is, and whether the worker reaches it with each."""

from argparse import Namespace
from dataclasses import dataclass

from benchmarks import base
from benchmarks.figures import Measured
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import turns
from outboxctl.drills.bench import sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

TITLE = "Documents"
SIZES = {"small": 200, "usual": 600, "large": 20_000}
LARGE_SHARE = 10  # a large document takes that many times longer, about
NOTES = """\
- S, P, B and E as in the first section, in turns. A document of 200 bytes cannot be had: a row's own
  columns take more; "small" is the smallest that there is.
"""


@dataclass
class Variant:
    """One size: its text, the bodies of its requests, and what was measured."""

    name: str
    text: int
    requests: list[bytes]
    measured: Measured


def run(rig: Rig, given: Namespace) -> Section:
    """Each size in turn, as often as the base run."""
    variants = [_variant(rig, name, given.events) for name in SIZES]
    for number in range(1, given.repeat + 1):
        for variant in turns(variants, number):
            say(f"{variant.name} documents, repetition {number} of {given.repeat}")
            base.once(rig, variant.text, variant.requests, variant.measured)
    figures = [figure for variant in variants for figure in _figures(variant)]
    return Section(TITLE, _about(variants, given.repeat), figures, NOTES)


def _variant(rig: Rig, name: str, events: int) -> Variant:
    count = max(1, events // (LARGE_SHARE if name == "large" else 2))
    text = sink.text_of(rig, SIZES[name])
    return Variant(name, text, sink.bodies(rig, count, text), Measured(count))


def _figures(variant: Variant) -> list[BenchFigure]:
    measured, of = variant.measured, f"{variant.name}, "
    cpu = [BenchFigure(f"{of}{name} CPU", "us/event", measured.cpu(whose), digits=1) for whose, name in WHOSE]
    return [*measured.rates(of), *cpu]


WHOSE = (("worker", "worker"), ("postgres", "PostgreSQL"), ("engine", "Elasticsearch"))


def _about(variants: list[Variant], repeat: int) -> str:
    each = (
        f"{v.measured.events:,} {v.name} ones of {sum(map(len, v.requests)) // v.measured.events:,} bytes"
        for v in variants
    )
    return f"{', '.join(each)} with their lines of the bulk request; {repeat} repetitions."
