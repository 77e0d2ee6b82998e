"""Small, usual and large documents: where the limit is, and whether the worker reaches it with each."""

from argparse import Namespace

from benchmarks import base
from benchmarks.command import turns
from benchmarks.report import Section
from outboxctl.drills.bench.rig import Rig

SIZES = {"small": 200, "usual": 600, "large": 20_000}
LARGE_SHARE = 10  # a large document takes that many times longer, about
NOTES = """\
- S, P, B and E as in the first section, in turns. A document of 200 bytes cannot be had: a row's own
  columns take more; "small" is the smallest that there is.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Each size in turn, as often as the base run."""
    counts = {name: max(1, args.events // (LARGE_SHARE if name == "large" else 2)) for name in SIZES}
    sizes = {name: base.prepared(rig, counts[name], SIZES[name], args.repeat) for name in SIZES}
    for number in range(1, args.repeat + 1):
        for name in turns(sizes, number):
            base.once(*sizes[name], f"{name} documents, repetition {number} of {args.repeat}")
    figures = [
        figure
        for name, (_, m) in sizes.items()
        for figure in (*base.rates(m, f"{name}, "), *base.costs(m, f"{name}, "))
    ]
    each = ", ".join(f"{counts[name]:,} {name} ones of {m.line:,} bytes" for name, (_, m) in sizes.items())
    about = f"{each} with their lines of the bulk request; {args.repeat} repetitions."
    return Section("Documents", about, figures, NOTES)
