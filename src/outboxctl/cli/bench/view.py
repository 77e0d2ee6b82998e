"""What `bench` shows: what it will create, its progress, and the report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import say
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rich.console import Console

    from outboxctl.drills.bench.measured import Measured
    from outboxctl.drills.bench.options import BenchOptions
    from outboxctl.drills.bench.report import BenchReport
    from outboxctl.drills.bench.rig import Rig
    from outboxctl.drills.faults.guest import GuestNames
    from outboxctl.settings import Settings

LONGEST = 400  # characters of a line with a name


def announce(settings: "Settings", database: str, names: "GuestNames", options: "BenchOptions") -> None:
    """Print what will be created where, and how much load it is; names are not cut, so they can be copied."""
    from outboxctl.drills.bench.run import WARM_UP_SECONDS
    from outboxctl.drills.faults import guest
    from outboxctl.net.urls import mask

    out, versions = rendering.console(stderr=True), guest.versions(settings)
    sink = ", ".join(map(mask, settings.sink_urls))
    out.print(
        rendering.cell(
            f"Database {database} ({versions['postgres']}), sink {sink} ({versions['search']}).", 600
        )
    )
    out.print("Made there, and removed at the end:")
    for what, name in (("schema", names.schema), ("index", names.index)):
        out.print(rendering.cell(f"  {what:<6}  {name}", LONGEST), soft_wrap=True)
    out.print(
        f"Load: up to {WARM_UP_SECONDS:.0f} s of warm-up, then about {options.documents:,} documents of "
        f"{options.bytes:,} bytes into one or both, as fast as they take them: "
        f"{rendering.age(options.seconds)} on quick servers, else longer. "
        "Other users of the servers will notice it. Nothing else is touched."
    )


def measured(place: "AbstractContextManager[Rig]", options: "BenchOptions") -> "BenchReport":
    """Measure there, with the progress on stderr."""
    from outboxctl.drills.bench.machine import surroundings
    from outboxctl.drills.bench.place import shared
    from outboxctl.drills.bench.report import BenchReport
    from outboxctl.drills.bench.run import measure

    at, began = datetime.now(UTC), monotonic()
    with place as rig:
        machine, together = surroundings(rig.versions), shared(rig.settings)
        with following(options.steps) as progress:
            values = measure(rig, options, shared=together, progress=progress)
    return BenchReport(at, monotonic() - began, values.interrupted, machine, values)


@contextmanager
def following(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar of `steps`, each reported before it begins; without a terminal a line for each."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    out = rendering.console(stderr=True)
    still = not out.is_terminal or out.is_dumb_terminal
    columns = (BarColumn(24), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=out, transient=True, disable=still) as bar:
        task = bar.add_task("", total=steps)
        begun = 0

        def progress(text: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=text)
            begun += 1
            if still:
                say(f"{begun} of {steps}: {text}")

        yield progress


def show(report: "BenchReport", out: "Path | None", *, json: bool) -> None:
    """Write the files, and print the report. OutboxctlError where a file cannot be written."""
    files = _write(report, out) if out else []
    with tolerate_closed_pipe():
        rendering.emit_json(report.plain()) if json else _print(report, rendering.console())
    if files:
        rendering.console(stderr=True).print(
            rendering.cell(f"Written: {', '.join(files)}", LONGEST), soft_wrap=True
        )


def _write(report: "BenchReport", out: "Path") -> list[str]:
    from json import dumps

    texts = {
        "bench.json": dumps(report.plain(), indent=2) + "\n",
        "bench.md": report.markdown(),
        "bench.svg": report.picture(),
    }
    try:
        for name, text in texts.items():
            (out / name).write_text(text)
    except OSError as error:
        raise OutboxctlError(f"cannot write into {brief(out, 200)}: {error.strerror}") from None
    return [str(out / name) for name in texts]


def _print(report: "BenchReport", out: "Console") -> None:
    out.print(rendering.cell(report.where, 600))
    out.print(rendering.cell(report.options_line, 600))
    if report.interrupted:
        out.print("Interrupted: this is what was measured until then.", style="bold")
    if report.measured.matrix:
        _print_cells(report.measured, out)
        if report.measured.best:
            out.print(f"Best, with the fewest lanes: {report.measured.best}.")
    if report.figures:
        rows = [figure.cells()[:3] for figure in report.figures.values()]
        out.print(rendering.table("Figures", ("figure", "median", "spread"), rows))
        out.print(report.bound)
    out.print()
    for sentence in report.advice:
        out.print(sentence)


def _print_cells(measured: "Measured", out: "Console") -> None:
    """E by lanes and batch."""
    cells = measured.matrix
    sizes = sorted({cell.bulk_size for cell in cells})
    lanes = sorted({cell.concurrency for cell in cells})
    rows = [[str(lane), *(_of(measured, lane, size) for size in sizes)] for lane in lanes]
    heads = ["lanes", *(f"{size:,} a batch" for size in sizes)]
    out.print(rendering.table("E in events/s", heads, rows))


def _of(measured: "Measured", lane: int, size: int) -> str:
    from outboxctl.drills.bench.options import Cell

    values = measured.matrix.get(Cell(lane, size))
    return f"{median(values):,.0f}" if values else "-"
