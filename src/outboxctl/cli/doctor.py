"""`doctor`: both ends examined, each finding with the command that mends it."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings
from outboxctl.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from outboxctl.operations.doctor import DoctorReport, Finding

ENDS = ("database", "sink", "settings")
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}  # the worst first
MARGIN = " " * 4
WIDEST = 100  # columns: longer lines are hard to read


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="END", help="database, sink or settings; repeatable."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="ID", help="Leave out findings of this id; repeatable."),
    ] = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Examine the database, the sink and the settings: what is wrong, why, and what mends it.

    Changes nothing. Exit code 0 if there is nothing worse than information, 4 with findings, 3 if an
    end cannot be reached. `curl` and `psql` commands are meant for a shell with your settings.

    Example: outboxctl doctor --only sink --ignore auto-create-index
    """
    from outboxctl.operations.doctor import End, examine

    ends = [End(_one_of("--only", name, ENDS)) for name in only or ()]
    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    report = examine(given, only=ends, ignored=_ids(ignore or ()), say=_print_progress)
    _show(report, json=json)
    if report.unreachable:
        raise typer.Exit(ExitCode.UNREACHABLE)
    if report.counts:
        raise typer.Exit(ExitCode.FINDINGS)


def _ids(given: "list[str] | tuple[()]") -> list[str]:
    from outboxctl.operations.doctor import catalogue

    known = tuple(catalogue())
    return [_one_of("--ignore", name, known) for name in given]


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    from outboxctl.domain.printable import brief

    if value in known:
        return value
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
    raise UsageError(f"{flag}: unknown {brief(repr(value), 80)}", hint=hint)


def _print_progress(line: str) -> None:
    if sys.stderr.isatty():
        typer.echo(f"examining {line}", err=True)


@tolerate_closed_pipe()
def _show(report: "DoctorReport", *, json: bool) -> None:
    from outboxctl.cli import rendering

    if json:
        found = [asdict(finding) for finding in report.findings]
        rendering.emit_json({"findings": found, "examined": report.examined})
        return
    out = rendering.console()
    for end in ENDS:
        _end(out, end, [finding for finding in report.findings if finding.end == end])
    out.print(_summary(report))


def _end(out: "Console", end: str, findings: "list[Finding]") -> None:
    from rich.text import Text

    if findings:
        out.print(Text(end, style="bold"))
    for finding in sorted(findings, key=lambda finding: list(STYLES).index(finding.severity)):
        out.print(Text.assemble("  ", (finding.severity, STYLES[finding.severity]), f"  {finding.id}"))
        _paragraph(out, finding.what)
        _paragraph(out, finding.why)
        # Not broken by us: what is copied must still be one line.
        out.print(Text(f"{MARGIN}{finding.mend}", style="green"), soft_wrap=True)
        out.print()


def _paragraph(out: "Console", words: str) -> None:
    from textwrap import fill

    from rich.text import Text

    width = min(out.width, WIDEST)
    out.print(Text(fill(words, width, initial_indent=MARGIN, subsequent_indent=MARGIN)))


def _summary(report: "DoctorReport") -> str:
    found = [str(finding.severity) for finding in report.findings]
    counts = [f"{found.count(each)} {each}" for each in STYLES if each in found]
    return f"{len(report.examined)} checks: {', '.join(counts) or 'nothing found'}"
