"""`check`: is all well? For cron, CI and monitoring that speaks Nagios."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, MaxProcessing, settings
from outboxctl.domain.errors import ExitCode, UnreachableError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.operations.check.figures import CheckedFigure, CheckLimits
    from outboxctl.operations.check.sample_comparison import Drift
    from outboxctl.settings import Settings

PATIENCE = 10.0  # seconds for each end: a probe that hangs says nothing
LONGEST = 10 * 365 * 86_400  # seconds
SHORTEST = 10.0  # seconds: workers say each 3 what they have done


def _most(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, min=0, help=text, show_default=False, **more)


def check(
    max_oldest_age: Annotated[
        float | None,
        _most("--max-oldest-age", "Seconds [env: OUTBOX_SLA_OLDEST_AGE_SECONDS].", max=LONGEST),
    ] = None,
    max_stuck: Annotated[int, typer.Option("--max-stuck", min=0, help="Stuck events.")] = 0,
    max_failed: Annotated[
        int | None, _most("--max-failed", "Failed events, however old; without it they are a note.")
    ] = None,
    max_lag: Annotated[int | None, _most("--max-lag", "Events that wait or are under way.")] = None,
    max_failed_growth: Annotated[
        int, typer.Option("--max-failed-growth", min=0, help="Events that failed within the window.")
    ] = 0,
    window: Annotated[
        float, typer.Option("--window", min=1, max=LONGEST, help="Seconds of --max-failed-growth.")
    ] = 300.0,
    max_no_success: Annotated[
        float,
        typer.Option(
            "--max-no-success",
            min=SHORTEST,
            max=LONGEST,
            help="Seconds in which events wait and none is delivered.",
        ),
    ] = 60.0,
    max_silence: Annotated[
        float | None,
        _most("--max-silence", "Seconds since the last heartbeat of any worker.", max=LONGEST),
    ] = None,
    drift_sample: Annotated[
        int, typer.Option("--drift-sample", min=0, max=100_000, help="Compare so many entities, by version.")
    ] = 0,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    max_processing_seconds: MaxProcessing = None,
    json: Json = False,
) -> None:
    """Hold the outbox against limits: exit 0 if all is well, 4 on findings, 3 if it cannot be told.

    The database is asked; the sink too with --drift-sample, which finds documents that are missing
    or of another version, but not those without a row (see verify).

    The first line is a summary with figures for monitoring, then comes a line a finding with the
    command that tells more. That no worker is alive while events are due is always a finding. Events
    that failed before the window are a note, unless --max-failed says otherwise.

    Example: outboxctl check --max-failed-growth 10 --max-lag 10000 --drift-sample 200
    """
    from outboxctl.operations.check.figures import CheckLimits

    given = settings(
        database_url=database_url,
        elastic_url=elastic_url,
        elastic_index=elastic_index,
        max_processing_seconds=max_processing_seconds,
    )
    age = given.sla_oldest_age_seconds if max_oldest_age is None else max_oldest_age
    limits = CheckLimits(
        age,
        stuck=max_stuck,
        failed=max_failed,
        lag=max_lag,
        failed_growth=max_failed_growth,
        window=window,
        no_success=max_no_success,
        silence=max_silence,
    )
    found, problem = _look(given, limits, drift_sample)
    well = all(figure.well for figure in found)
    state = "UNKNOWN" if problem else "OK" if well else "CRITICAL"
    _show(found, state, str(problem) if problem else None, json=json)
    if problem:
        raise problem
    if not well:
        raise typer.Exit(ExitCode.FINDINGS)


def _look(
    given: "Settings", limits: "CheckLimits", sample: int
) -> "tuple[list[CheckedFigure], UnreachableError | None]":
    """All figures, and what could not be reached: what one end said is told where the other is away."""
    from outboxctl.operations.check import figures

    found: list[CheckedFigure] = []
    try:
        with reading(given, longest=PATIENCE) as connection:
            facts = figures.read(connection, limits, max_processing=given.max_processing_seconds)
        found = figures.judge(facts, limits)
        return (figures.judge(facts, limits, _drift(given, sample)) if sample else found), None
    except UnreachableError as error:
        return found, error


def _drift(given: "Settings", sample: int) -> "Drift":
    from outboxctl.operations.check.sample_comparison import drift
    from outboxctl.sink.transport.open import connect

    client = connect(given, connections=1, timeout=PATIENCE)
    try:
        return drift(lambda: reading(given, longest=PATIENCE), client, given.elastic_index, sample)
    finally:
        client.close()


@tolerate_closed_pipe()
def _show(found: "list[CheckedFigure]", state: str, problem: str | None, *, json: bool) -> None:
    from dataclasses import asdict

    from outboxctl.cli import rendering
    from outboxctl.operations.check.figures import notes

    noted = [f"note: {_line(figure)}" for figure in notes(found)]
    bad = [figure for figure in found if not figure.well]
    if json:
        report = {"state": state, "ok": state == "OK", "problem": problem}
        each = [asdict(figure) | {"well": figure.well} for figure in found]
        rendering.emit_json(
            report | {"findings": [_line(figure) for figure in bad], "notes": noted, "figures": each}
        )
        return
    said = problem or ", ".join(f"{figure.name} {figure.shown}" for figure in bad or found[:2])
    lines = [_summary(state, said, found), *map(_line, bad), *noted]
    rendering.console().print("\n".join(lines), soft_wrap=True)


def _summary(state: str, said: str, found: "list[CheckedFigure]") -> str:
    """Nagios' first line: text, then `name=value[unit];warning;critical;least` after a bar."""
    text = f"OUTBOX {state} - {_unbarred(brief(said, 300))}"
    figures = [
        f"{f.name}={_plain(f.value, 'U')}{f.unit if f.value is not None else ''};;{_plain(f.limit, '')};0"
        for f in found
    ]
    return " | ".join([text, *([" ".join(figures)] if figures else [])])


def _line(figure: "CheckedFigure") -> str:
    """A finding: what, figure and limit, and what to run."""
    limit = _plain(figure.limit, "none")
    return f"{figure.name}: {_unbarred(figure.message)} (limit {limit}); run: {figure.help}"


def _unbarred(text: str) -> str:
    """Whatever follows a bar, monitoring takes for figures."""
    return text.replace("|", "/")


def _plain(value: float | None, unknown: str) -> str:
    if value is None:
        return unknown
    return f"{value:.3f}".rstrip("0").rstrip(".")
