"""What `bench` shows: what it will create, its progress, and the report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import say
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import brief
from outboxctl.drills.bench.measured import BenchOptions, Cell
from outboxctl.drills.bench.report import BOUNDS, BenchReport, advise
from outboxctl.drills.bench.run import WARM_UP_SECONDS
from outboxctl.drills.faults import guest
from outboxctl.net.urls import mask
from outboxctl.settings import Settings

LONGEST = 400  # characters of a line with a name


def announce(settings: Settings, database: str, names: guest.GuestNames, options: BenchOptions) -> None:
    """Print what will be created where, and how much load it is; names are not cut, so they can be copied."""
    out, versions = rendering.console(stderr=True), guest.versions(settings)
    sink = ", ".join(map(mask, settings.sink_urls))
    where = f"Database {database} ({versions['postgres']}), sink {sink} ({versions['search']})."
    out.print(rendering.cell(where, 600))
    out.print("Made there, and removed at the end:")
    for what, name in (("schema", names.schema), ("index", names.index)):
        out.print(rendering.cell(f"  {what:<6}  {name}", LONGEST), soft_wrap=True)
    out.print(
        f"Load: up to {WARM_UP_SECONDS:.0f} s of warm-up, then about {options.documents:,} documents of "
        f"{options.bytes:,} bytes into one or both, as fast as they take them: "
        f"{rendering.age(options.seconds)} on quick servers, else longer. "
        "Other users of the servers will notice it. Nothing else is touched."
    )


@contextmanager
def following(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar of `steps`, each reported before it begins; without a terminal a line for each."""
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


def show(report: BenchReport, out: Path | None, *, json: bool) -> None:
    """Write the files, and print the report. OutboxctlError where a file cannot be written."""
    files = _write(report, out) if out else []
    with tolerate_closed_pipe():
        rendering.emit_json(report.plain()) if json else _print(report, rendering.console())
    if files:
        written = rendering.cell(f"Written: {', '.join(files)}", LONGEST)
        rendering.console(stderr=True).print(written, soft_wrap=True)


def _write(report: BenchReport, out: Path) -> list[str]:
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


def _print(report: BenchReport, out: Console) -> None:
    measured = report.measured
    out.print(rendering.cell(report.where, 600))
    out.print(rendering.cell(report.options_line, 600))
    if measured.interrupted:
        out.print("Interrupted: this is what was measured until then.", style="bold")
    if measured.matrix:
        _print_cells(measured.matrix, out)
        if measured.best:
            out.print(f"Best, with the fewest lanes: {measured.best}.")
    if report.figures:
        rows = [figure.cells()[:3] for figure in report.figures.values()]
        out.print(rendering.table("Figures", ("figure", "median", "spread"), rows))
        out.print(BOUNDS[measured.shared])
    out.print()
    for sentence in advise(measured):
        out.print(sentence)


def _print_cells(cells: dict[Cell, list[float]], out: Console) -> None:
    """E by lanes and batch."""
    sizes = sorted({cell.bulk_size for cell in cells})
    rates = {cell: f"{median(values):,.0f}" if values else "-" for cell, values in cells.items()}
    rows = [
        [str(lane), *(rates.get(Cell(lane, size), "-") for size in sizes)]
        for lane in sorted({cell.concurrency for cell in cells})
    ]
    out.print(rendering.table("E in events/s", ["lanes", *(f"{size:,} a batch" for size in sizes)], rows))
