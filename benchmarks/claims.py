"""How long a claim takes beside a table's past, against the same claim in an empty table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from uuid import uuid4

from benchmarks import past, rows
from benchmarks.past import Past
from benchmarks.servers import say
from benchmarks.turns import ratios, turns
from outboxctl.core.delivery.claim import claim
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

SIZE = 500
TIMES = 20  # a repetition
EMPTY = "empty"
PENDING = 5_000  # events that are due, in `quick`


@dataclass
class Shape:
    """Milliseconds of a claim (the repetition's median) and events a second, a value a repetition."""

    rig: Rig
    claims: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def measure(shapes: Mapping[str, Shape], number: int) -> None:
    """Claim in each shape in turn, many times; every other time the other way round."""
    seen: dict[str, list[float]] = {name: [] for name in shapes}
    for turn in range(TIMES):
        for name in turns(list(shapes), number + turn):
            seen[name].append(_milliseconds(shapes[name].rig))
    for name, shape in shapes.items():
        shape.claims.append(median(seen[name]))


def figures(shapes: Mapping[str, Shape]) -> list[BenchFigure]:
    """A claim on the empty table, and on each other one against it."""
    empty = shapes[EMPTY].claims
    against = [
        BenchFigure(f"claim, {name} / empty", "", ratios(shape.claims, empty), digits=2)
        for name, shape in shapes.items()
        if name != EMPTY
    ]
    return [BenchFigure("claim, empty", "ms", empty, digits=1), *against]


def quick(rig: Rig, done: int, repeat: int) -> list[BenchFigure]:
    """The ratios on smaller tables, in a minute: a claim that reads past rows is slower on these too."""
    pasts = {
        EMPTY: Past(),
        "some done": Past(rows=done),
        "waiting": Past("waiting", done // 5),
        "failed": Past("failed", done // 5),
    }
    with past.databases(rig, pasts, PENDING, 1) as rigs:
        shapes = {name: Shape(each) for name, each in rigs.items()}
        for shape in shapes.values():
            rows.burst(shape.rig, PENDING)
        for number in range(repeat + 1):
            say(f"claims, repetition {number} of {repeat}" if number else "claims, warm-up")
            measure(shapes, number)
    for shape in shapes.values():
        del shape.claims[0]  # every cache was cold
    return figures(shapes)


def _milliseconds(rig: Rig) -> float:
    """Of one claim, which is taken back."""
    with rig.database.begin() as connection:
        started = perf_counter()
        claimed = claim(connection, owner="bench", token=str(uuid4()), size=SIZE, lease=30)
        milliseconds = 1_000 * (perf_counter() - started)
        connection.rollback()
    must(len(claimed) == SIZE, f"{len(claimed)} events claimed of {SIZE}")
    return milliseconds
