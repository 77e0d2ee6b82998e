"""`doctor`: database, search engine and settings examined, each finding with the command that fixes it."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import Json, print_progress, settings
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from outboxctl.operations.doctor.model import DoctorReport, Finding

ENDS = ("database", "sink", "settings")
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}  # the worst first
MARGIN = " " * 4
WIDEST = 100  # columns: longer lines are hard to read


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="END", help="database, sink (the search engine) or settings; repeatable."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Leave out findings of this id; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Examine the database, the search engine and the settings: what is wrong, why, and what fixes it.

    Changes nothing. Exit code 0 if there is nothing worse than information, 4 with findings, 3 if
    the database or the search engine is unreachable. `curl` and `psql` commands are meant for a shell
    with your settings.

    Example: outboxctl doctor --only sink --ignore refresh-off
    """
    from outboxctl.operations.doctor.examination import catalogue, examine
    from outboxctl.operations.doctor.model import End

    ends = [End(parse.one_of("--only", name, ENDS, "end")) for name in only or ()]
    ignored = [parse.one_of("--ignore", name, tuple(catalogue()), "finding") for name in ignore or ()]
    report = examine(settings(), only=ends, ignored=ignored, say=_print_progress)
    findings = [asdict(finding) for finding in report.findings]
    rendering.show({"findings": findings, "examined": report.examined}, lambda: _lines(report), json=json)
    if report.unreachable:
        raise typer.Exit(ExitCode.UNREACHABLE)
    if report.counts:
        raise typer.Exit(ExitCode.FINDINGS)


def _print_progress(line: str) -> None:
    if sys.stderr.isatty():
        print_progress(f"examining {line}")


def _lines(report: "DoctorReport") -> Iterator[object]:
    from rich.text import Text

    for end in ENDS:
        findings = [finding for finding in report.findings if finding.end == end]
        if findings:
            yield Text(end, style="bold")
        for finding in sorted(findings, key=lambda finding: list(STYLES).index(finding.severity)):
            yield from _finding(finding)
    severities = [str(finding.severity) for finding in report.findings]
    counts = [f"{severities.count(each)} {each}" for each in STYLES if each in severities]
    yield f"{len(report.examined)} checks: {', '.join(counts) or 'nothing found'}"
    if report.findings:
        yield "outboxctl explain ID says what a finding is about."


def _finding(finding: "Finding") -> Iterator[object]:
    from rich.text import Text

    yield Text.assemble("  ", (finding.severity, STYLES[finding.severity]), f"  {finding.id}")
    width = min(rendering.console().width, WIDEST)
    for text in (finding.what, finding.why):
        yield Text(fill(text, width, initial_indent=MARGIN, subsequent_indent=MARGIN))
    yield rendering.Unbroken(f"{MARGIN}{finding.mend}\n")  # it is to be copied
