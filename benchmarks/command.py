"""What the benchmarks share: servers, repetitions in alternating order, ratios, and the section."""

import fcntl
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from benchmarks import report
from benchmarks.figure import BenchFigure
from benchmarks.report import Section
from benchmarks.rig import OtherProcesses, Rig, own_servers, surroundings
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills import services

Item = TypeVar("Item")
STATE = Path(__file__).parents[1] / ".outboxctl" / "bench"
START = monotonic()
OTHERS = "cores taken by others"


def say(text: str) -> None:
    """Print one line of progress to stderr."""
    print(f"[{monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


def write(section: Section, flags: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Write the section with the command that measures it again, and print it.

    Of a program's path only its name is written: where it lies on this machine helps nobody.
    """
    flags = {key: Path(value).name if isinstance(value, str) else value for key, value in flags.items()}
    print(report.write_section(section, flags, surroundings(versions)))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an OutboxctlError as two lines and exit with its code; at SIGTERM stop the servers and exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except OutboxctlError as error:
        print(f"benchmarks: {error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)


@contextmanager
def started(*before: Callable[[], object], **tuning: int) -> Iterator[Rig]:
    """Start PostgreSQL and Elasticsearch, create the schema, and stop both at the end.

    `before` is called before both start; `tuning` are settings of the worker. Raises UnreachableError where
    only an imitation could be started, and UsageError beside another run: each would slow the other down, and
    stop its servers.
    """
    STATE.parent.mkdir(exist_ok=True)
    with STATE.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another benchmark is running", hint="wait for it to end") from None
        try:
            for prepare in before:
                prepare()
            with (
                tempfile.TemporaryDirectory() as folder,
                own_servers(STATE, Path(folder), say, tuning) as rig,
            ):
                yield rig
        finally:
            services.down(STATE, purge=True)


def turns(items: Iterable[Item], number: int) -> list[Item]:
    """The items in the order of repetition `number`, every other time reversed: a drift hits all of them."""
    return list(items) if number % 2 else list(items)[::-1]


def collected(
    rig: Rig, repeat: int, measure: Callable[[int], Mapping[str, float]]
) -> defaultdict[str, list[float]]:
    """What `measure` returns by name in each repetition, and under OTHERS the cores that others took."""
    values, others = defaultdict[str, list[float]](list), OtherProcesses(rig)
    for number in range(1, repeat + 1):
        row = {**measure(number), OTHERS: others.cores()}
        say(f"repetition {number} of {repeat}: " + ", ".join(f"{k} {v:,.2f}" for k, v in row.items()))
        for name, value in row.items():
            values[name].append(value)
    return values


def figures(values: Mapping[str, list[float]], unit: Callable[[str], str]) -> list[BenchFigure]:
    """A figure of each name, with its unit; OTHERS has none."""
    return [BenchFigure(name, "" if name == OTHERS else unit(name), each) for name, each in values.items()]


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Each repetition's value divided by the other of the same repetition.

    0 where the other is 0: a short run may take less CPU than one tick of its clock.
    """
    return [value / other if other else 0.0 for value, other in zip(values, to, strict=True)]
