"""What the benchmarks share: flags, repetitions in alternating order, ratios, and writing the section."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from benchmarks import report
from benchmarks.report import Section
from benchmarks.servers import exit_on_error, say, started
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig

Item = TypeVar("Item")
Options = Mapping[str, tuple[Any, str]]  # by flag: the default, whose type it has, and the help


def main(name: str, about: str | None, options: Options, measure: Callable[[Rig, Any], Section]) -> None:
    """`python -m benchmarks.<name>`: start the servers, measure, write the section and print it."""
    args = arguments(f"benchmarks.{name}", about, options).parse_args()
    with exit_on_error(), started() as rig:
        section = measure(rig, args)
        print(write(section, f"benchmarks.{name}", vars(args), surroundings(rig.versions)))


def arguments(module: str, about: str | None, options: Options) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    for flag, (default, text) in options.items():
        parser.add_argument(f"--{flag}", type=type(default), default=default, help=text or None)
    return parser


def write(section: Section, module: str, flags: Mapping[str, Any], on: Mapping[str, str]) -> str:
    """Write the section with the command that measures it again; returns what to print."""
    return report.write_section(section, command=report.command(module, flags), on=on)


def turns(items: Iterable[Item], number: int) -> list[Item]:
    """The items in the order of repetition `number`, every other time reversed: a drift hits all of them."""
    return list(items) if number % 2 else list(items)[::-1]


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Each repetition's value divided by the other of the same repetition."""
    return [value / other for value, other in zip(values, to, strict=True)]


def repeated(
    items: Iterable[Item], repeat: int, measure: Callable[[Item], float], unit: str, *, warm_up: bool = False
) -> dict[Item, list[float]]:
    """Measure each item `repeat` times, in turns; with `warm_up` once before, which does not count."""
    values: dict[Item, list[float]] = {item: [] for item in items}
    for number in range(0 if warm_up else 1, repeat + 1):
        for item in turns(values, number):
            value = measure(item)
            say(f"{item}, repetition {number} of {repeat}: {value:,.2f} {unit}")
            values[item].extend([value] if number else [])
    return values


def against(
    values: Mapping[str, Sequence[float]], base: str, *, name: str = "{}/{}", at_least: bool = True
) -> list[BenchFigure]:
    """The ratio of every other item to `base`, a value a repetition."""
    return [
        BenchFigure(name.format(each, base), "", ratios(some, values[base]), at_least=at_least, digits=2)
        for each, some in values.items()
        if each != base
    ]
