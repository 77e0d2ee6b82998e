"""`check`: is all well? For cron, CI and monitoring that reads the output of Nagios plugins."""

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import database, reading
from outboxctl.cli.options import Json, settings
from outboxctl.domain.errors import ExitCode, UnreachableError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.operations.check.figures import CheckedFigure, CheckLimits
    from outboxctl.operations.check.sample_comparison import Drift
    from outboxctl.settings import Settings

PATIENCE = 10.0  # seconds for the database, and for the search engine
LONGEST = 10 * 365 * 86_400  # seconds
SHORTEST = 10.0  # seconds: workers report every 3 seconds what they have done


def check(
    max_oldest_age: Annotated[
        float | None, typer.Option(min=0, max=LONGEST, help="Seconds [env: OUTBOX_SLA_OLDEST_AGE_SECONDS].")
    ] = None,
    max_stuck: Annotated[int, typer.Option(min=0, help="Stuck events.")] = 0,
    max_failed: Annotated[
        int | None, typer.Option(min=0, help="Failed events, however old; without it they are a note.")
    ] = None,
    max_lag: Annotated[int | None, typer.Option(min=0, help="Pending and processing events.")] = None,
    max_failed_growth: Annotated[int, typer.Option(min=0, help="Events that failed within the window.")] = 0,
    window: Annotated[
        float, typer.Option(min=1, max=LONGEST, help="Seconds of --max-failed-growth.")
    ] = 300.0,
    max_no_success: Annotated[
        float,
        typer.Option(
            min=SHORTEST,
            max=LONGEST,
            help="Seconds in which events wait and none is delivered, or one is tried in vain.",
        ),
    ] = 45.0,
    max_away: Annotated[
        float,
        typer.Option(min=0, max=LONGEST, help="Seconds in which the engine or a projection takes nothing."),
    ] = 10.0,
    drift_sample: Annotated[
        int, typer.Option(min=0, max=100_000, help="Compare so many entities, by version.")
    ] = 0,
    json: Json = False,
) -> None:
    """Compare the outbox with limits: exit 0 if all is well, 4 on findings, 3 if a server is unreachable.

    It reads the database, and the index with --drift-sample, which finds documents that are missing
    or of another version, but not those without a row (see verify).

    The first line is a summary with figures for monitoring, then comes a line a finding with the
    command that shows more. Where projections are in force, a figure is that of all of them
    together, and the one that has most of it is named. No live worker while events are due is always
    a finding. Events that failed before the window are a note, unless --max-failed is given.

    Example: outboxctl check --max-failed-growth 10 --max-lag 10000 --drift-sample 200
    """
    from outboxctl.operations.check.figures import CheckLimits

    configured = settings()
    limits = CheckLimits(
        configured.sla_oldest_age_seconds if max_oldest_age is None else max_oldest_age,
        max_stuck,
        max_failed,
        max_lag,
        max_failed_growth,
        window,
        max_no_success,
        max_away,
    )
    figures, problem = read_figures(configured, limits, drift_sample)
    result = as_json(figures, problem)
    rendering.show(result, lambda: lines(figures, problem), json=json)
    if problem:
        raise problem
    if not result["ok"]:
        raise typer.Exit(ExitCode.FINDINGS)


def read_figures(
    settings: "Settings", limits: "CheckLimits", sample: int = 0
) -> "tuple[list[CheckedFigure], UnreachableError | None]":
    """Read all figures that can be read; the error says which server was unreachable."""
    from outboxctl.operations.check import figures

    judged: list[CheckedFigure] = []
    try:
        with reading(settings, longest=PATIENCE) as connection:
            facts = figures.read(connection, limits, max_processing=settings.max_processing_seconds)
        judged = figures.judge(facts, limits)
        return (figures.judge(facts, limits, _drift(settings, sample)) if sample else judged), None
    except UnreachableError as error:
        return judged, error


def _drift(settings: "Settings", sample: int) -> "Drift":
    from outboxctl.operations.check.sample_comparison import drift
    from outboxctl.sink.transport.open import connect

    sink = connect(settings, connections=1, timeout=PATIENCE)
    with closing(sink) as client, database(settings, longest=PATIENCE) as db:
        return drift(db, client, settings.elastic_index, sample)


def as_json(figures: "list[CheckedFigure]", problem: UnreachableError | None) -> dict[str, Any]:
    """Return what `check --json` prints."""
    from outboxctl.operations.check.figures import notes

    findings = [figure.line for figure in figures if not figure.well]
    state = "UNKNOWN" if problem else "CRITICAL" if findings else "OK"
    return {
        "state": state,
        "ok": state == "OK",
        "problem": str(problem) if problem else None,
        "findings": findings,
        "notes": [f"note: {figure.line}" for figure in notes(figures)],
        "figures": [asdict(figure) | {"well": figure.well} for figure in figures],
    }


def lines(figures: "list[CheckedFigure]", problem: UnreachableError | None) -> "Iterator[rendering.Unbroken]":
    """Return the lines that `check` prints: the summary, the findings, the notes."""
    result, bad = as_json(figures, problem), [figure for figure in figures if not figure.well]
    text = result["problem"] or ", ".join(f"{figure.name} {figure.shown}" for figure in bad or figures[:2])
    summary = _summary(result["state"], text, figures)
    return map(rendering.Unbroken, [summary, *result["findings"], *result["notes"]])


def _summary(state: str, text: str, figures: "list[CheckedFigure]") -> str:
    """The first line of a Nagios plugin: text, a bar, and `name=value[unit];warning;critical;minimum`."""
    from outboxctl.operations.check.figures import number

    values = " ".join(
        f"{f.name}={number(f.value, 'U')}{f.unit if f.value is not None else ''};;{number(f.limit, '')};0"
        for f in figures
    )
    told = f"OUTBOX {state} - {brief(text, 300).replace('|', '/')}"
    return f"{told} | {values}" if values else told
