"""`demo`: the whole pipeline, step by step."""

from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.services import Search
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod

    from outboxctl.drills.demo.story import DemoReport

NAME_WIDTH = 16


def demo(search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO) -> None:
    """Run the whole pipeline on services of its own, in under a minute, and remove them.

    Real texts (the docstrings of Python's standard library) go from PostgreSQL into a search index.
    The worker is killed in the middle and started again; a bad event fails; both sides are compared.
    Then a projection makes documents of three tables, and one row changes that many of them show.
    Exits 0 if every count agreed, else 4. Nothing of yours is touched.

    Example: outboxctl demo --search noida
    """
    from outboxctl.drills.demo.story import run_demo
    from outboxctl.drills.signals import SignalReceived

    screen = DemoScreen(rendering.console())
    try:
        with screen.live:
            report = run_demo(search.value, screen)
    except SignalReceived as signal:
        screen.out.print("Interrupted; everything that was started has ended.")
        raise typer.Exit(signal.code) from None
    with tolerate_closed_pipe():
        _close(report, screen.out)
    if not report.ok:
        raise typer.Exit(ExitCode.FINDINGS)


class DemoScreen:
    """A line for each step that has ended; a live one for the current step, or in a pipe what it says."""

    def __init__(self, out: "Console") -> None:
        self.out = out
        self._cut: OverflowMethod = "crop" if out.options.ascii_only else "ellipsis"
        self._status = out.status("") if out.is_terminal and not out.is_dumb_terminal else None
        self.live: AbstractContextManager[object] = self._status or nullcontext()
        self._name, self._began = "", 0.0

    def step(self, name: str, doing: str) -> None:
        """A step begins."""
        self._name, self._began = name, monotonic()
        self.say(doing)

    def say(self, text: str) -> None:
        """How far the step is: shown on a terminal alone."""
        if self._status:
            self._status.update(rendering.cell(f"{self._name:<{NAME_WIDTH}} {text}"))

    def detail(self, text: str) -> None:
        """Show a detail of the current step; in a log too, for it says what is downloaded."""
        if self._status:
            self.say(text)
        else:
            self.out.print(rendering.cell(text), soft_wrap=True)

    def ended(self, text: str) -> None:
        """A step has ended."""
        first, *lines = text.splitlines()
        took = rendering.age(monotonic() - self._began)
        self.out.print(f"{self._name + ':':<{NAME_WIDTH}} {first} ({took})", markup=False)
        for line in lines:
            self.out.print(rendering.cell(f"  {line}"), overflow=self._cut, no_wrap=True)


def _close(report: "DemoReport", out: "Console") -> None:
    """The table of checks, and where the log is."""
    good = [check.verdict == "OK" for check in report.checks]
    cells = [
        (each.name, each.seen, each.expected, "yes" if ok else "NO")
        for each, ok in zip(report.checks, good, strict=True)
    ]
    out.print()
    out.print(rendering.table("What was seen", ("check", "seen", "expected", "ok"), cells))
    out.print(f"{sum(good)} of {len(good)} checks agree, in {rendering.age(report.seconds)}.")
    if report.worker_log:
        out.print(f"The worker's log: {report.worker_log}", soft_wrap=True)
