"""Changes of children and of looked-up rows, one document behind each: outboxctl and pgsync in turns."""

from argparse import Namespace
from collections.abc import Mapping

import psutil

from benchmarks import nested, shop
from benchmarks.command import OTHERS, collected, turns
from benchmarks.figure import BenchFigure
from benchmarks.peers import compared
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, runs
from benchmarks.report import PEERS, Section
from benchmarks.rig import Rig, must
from outboxctl.sink.index import index_setup

WHAT: dict[str, tuple[str, Mapping[str, object]]] = {
    "children": (shop.CHANGE, shop.UPDATED),
    "looked-up rows": (shop.RENAME, shop.RENAMED),
}
NOTES = f"""\
- The tables, projection, index and settings of "Nested documents", each category with one product.
- Both in turns, on tables that are made and filled anew; one writer changes each child once, then each
  category once, in a random order that is the same for both, {shop.PER_COMMIT} rows a commit as fast as it
  goes, beside the running worker or daemon. "Rows" are those until a search finds all new contents, "its
  writer" is what that reaches with the triggers of each, "lag" is from the writer's end. What never came is
  not there when nothing has been written to the index for {shop.QUIET:g} s, and is counted.
- pgsync {VERSION} has {", ".join(f"{name}={value}" for name, value in SETTINGS.items())}; outboxctl its
  defaults.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Both in turns, the other way round each time."""
    pgsync = Pgsync(rig, args, nested.PGSYNC)

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in turns(("outboxctl", "pgsync"), number):
            shop.fill(rig, args.parents, categories=args.parents)
            own = name == "outboxctl"
            with nested.outboxctl(rig) if own else pgsync.filled(args.parents) as (_figures, running):
                index = shop.index_of(rig) if own else nested.PGSYNC.name
                found |= measured(rig, name, index, running, args.parents)
        return found

    values = collected(rig, args.repeat, repetition)
    about = f"{args.parents:,} products with {shop.PARTS} parts and a category each"
    about = f"{about}, {args.repeat} repetitions in turns; pgsync {VERSION}."
    return Section(PEERS, about, figures(values), NOTES)


def measured(
    rig: Rig, name: str, index: str, running: list[psutil.Process], parents: int
) -> dict[str, float]:
    """The figures of one tool by their names."""
    found: dict[str, float] = {}
    for what, (statement, query) in WHAT.items():
        rows = shop.PARTS * parents if what == "children" else parents
        began, ended = shop.updated(rig, rows, statement)
        at = shop.found_at(rig, index, parents, ended, query)
        missing = parents - index_setup.count(rig.client, index, query)
        must(name == "pgsync" or not missing, f"{missing} documents were not brought")
        found |= {
            f"{name}: {what}": rows / (at - began),
            f"{name}: {what}, its writer": rows / (ended - began),
            f"{name}: {what}, lag": at - ended,
            f"{name}: {what}, documents that never came": missing,
        }
    must(all(map(runs, running)), f"{name} has ended")
    return found


def figures(values: Mapping[str, list[float]]) -> list[BenchFigure]:
    """What was measured, and the ratios of both tools."""
    names = [each for what in WHAT for each in (what, f"{what}, its writer")]
    pairs = compared(values, {f"{each}, outboxctl/pgsync": each for each in names})
    return [_figure(name, each) for name, each in values.items()] + pairs


def _figure(name: str, values: list[float]) -> BenchFigure:
    unit = "s" if "lag" in name else "" if name == OTHERS or "never" in name else "rows/s"
    return BenchFigure(name, unit, values, digits=2 if unit == "s" or name == OTHERS else 0)
