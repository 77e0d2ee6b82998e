"""`demo`: the whole pipeline, step by step."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.options import Json
from outboxctl.cli.services import Search
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Console, OverflowMethod
    from rich.table import Table

    from outboxctl.drills.demo.report import DemoReport, Event, Kept, StepOutput

NAME_WIDTH = 16


def demo(
    search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the services running at the end.")] = False,
    json: Json = False,
) -> None:
    """Run the whole pipeline on services of its own, in under a minute, and remove them.

    Real texts (the docstrings of Python's standard library) go from PostgreSQL into a search index.
    The worker is killed in the middle and started again; a bad event fails; both sides are compared.
    Then a projection makes documents of three tables, and one row changes that many of them show.
    Exits 0 if every count agreed, else 4. Nothing of yours is touched.

    Example: outboxctl demo --search noida
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.demo.run import run_demo

    with DemoScreen(rendering.console(stderr=json)) as screen:
        report = screen.follow(run_demo(search.value, keep=keep, say=screen.detail))
    with tolerate_closed_pipe():
        rendering.emit_json(report, own=True) if json else _close(report, rendering.console())
    if not report.ok:
        raise typer.Exit(ExitCode.FINDINGS)


class DemoScreen:
    """A line for each step that has ended; a live one for the current step, or in a pipe what it says."""

    def __init__(self, out: "Console") -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column

        self._out = out
        self._cut: OverflowMethod = "crop" if out.options.ascii_only else "ellipsis"
        text = TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow=self._cut)
        )
        name = TextColumn("{task.fields[name]:<16}", style="bold", markup=False)
        self._still = not out.is_terminal or out.is_dumb_terminal
        self._live = Progress(
            name, SpinnerColumn(), BarColumn(16), text, console=out, transient=True, disable=self._still
        )
        self._task = self._live.add_task("", total=None, name="")
        self._name, self._began = "", 0.0

    def __enter__(self) -> "DemoScreen":
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def follow(self, events: "Generator[Event, None, DemoReport]") -> "DemoReport":
        """Show every event; returns the report. The demo is ended even if showing fails."""
        from outboxctl.drills.scratch.folder import SignalReceived

        try:
            while True:
                self._show(next(events))
        except StopIteration as end:
            report: DemoReport = end.value
            return report
        except SignalReceived as signal:
            events.close()
            self._out.print("Interrupted; everything that was started has ended.")
            raise typer.Exit(signal.code) from None
        finally:
            events.close()

    def detail(self, text: str) -> None:
        """Show a detail of the current step; in a log too, for it says what is downloaded."""
        from outboxctl.cli import rendering

        if self._still:
            self._out.print(rendering.cell(text), soft_wrap=True)
        else:
            self._live.update(self._task, description=text)

    def _show(self, event: "Event") -> None:
        from outboxctl.drills.demo.report import DemoProgress, DemoStep

        match event:
            case DemoStep(name, doing):
                self._name, self._began = name, monotonic()
                self._live.reset(self._task, total=None, description=doing, name=name)
            case DemoProgress(done, total):
                self._live.update(
                    self._task, completed=done, total=total, description=f"{done:,} of {total:,}"
                )
            case output:
                self._show_output(output)

    def _show_output(self, output: "StepOutput") -> None:
        from outboxctl.cli import rendering

        taken = rendering.age(monotonic() - self._began)
        lines = [output.text]
        if output.status:
            lines.append(", ".join(f"{count:,} {name}" for name, count in output.status.status.items()))
        if self._out.is_terminal:
            self._out.print(_row(self._name, lines, taken))
        else:
            self._out.print(f"{self._name}: {'; '.join(lines)} ({taken})")
        for hit in output.hits:
            self._out.print(rendering.cell(f"  {hit.snippet}"), overflow=self._cut, no_wrap=True)


def _row(name: str, lines: "list[str]", taken: str) -> "Table":
    """One step as a row: fixed columns around the text, so that rows printed one by one line up."""
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(style="bold", width=NAME_WIDTH)
    row.add_column(ratio=1)
    row.add_column(style="dim", justify="right", width=6)
    row.add_row(name, Text("\n".join(lines)), taken)
    return row


def _close(report: "DemoReport", out: "Console") -> None:
    """The table of checks, and where the log and the services are."""
    from outboxctl.cli import rendering

    cells = [
        (c.name, f"{c.seen:,}", f"{'at least ' * c.at_least}{c.expected:,}", "yes" if c.ok else "NO")
        for c in report.checks
    ]
    out.print()
    out.print(rendering.table("What was seen", ("check", "seen", "expected", "ok"), cells))
    good = sum(check.ok for check in report.checks)
    out.print(f"{good} of {len(report.checks)} checks agree, in {rendering.age(report.seconds)}.")
    if report.worker_log:
        out.print(f"The worker's log: {report.worker_log}", soft_wrap=True)
    if report.kept:
        out.print(_how_to_use(report.kept), soft_wrap=True)


def _how_to_use(kept: "Kept") -> str:
    from outboxctl.domain.printable import export, quoted

    return f"""
The services keep running. To use them:
  {export("OUTBOXCTL_STATE", kept.state)}
  {export("DATABASE_URL", kept.database_url)}
  {export("ELASTIC_URL", kept.elastic_url)}
  {export("ELASTIC_INDEX", kept.elastic_index)}
  outboxctl status
  outboxctl projection show {kept.projection}
To end them and delete their data:
  OUTBOXCTL_STATE={quoted(kept.state)} outboxctl services down --purge
  rm -r {quoted(kept.state)}"""
