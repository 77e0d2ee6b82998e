"""`report`: the state of the outbox as one page to send on; for those without Grafana."""

from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING

import typer

from outboxctl.cli import rendering
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.guards import reading
from outboxctl.cli.options import Json, print_progress, settings
from outboxctl.domain.errors import ExitCode
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.operations.report import Overview

PATIENCE = 10.0  # seconds for each part: a page without one of them is better than none
WIDTH, ROWS, SAID = 120, 50, 240  # columns of the page, rows of a list, characters of a text from outside
VERDICTS = {"CRITICAL": "Beyond a limit:", "OK": "Nothing is beyond a limit."}
CAUSES = ("cause", "reason", "events", "last", "what they say (values left out)")
# One file, no script, nothing from elsewhere; Rich escapes what it is filled with.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outbox report</title>
<style>
{stylesheet}
body {{ color: {foreground}; background: {background}; font: 14px/1.4 ui-monospace, Consolas, monospace }}
pre {{ font: inherit; max-width: max-content; margin: 2em auto }}
</style>
</head>
<body><pre>{code}</pre></body>
</html>
"""


def report(json: Json = False) -> None:
    """Write the state of the outbox as one page of HTML: is it moving, why does it fail, who works.

    Changes nothing, and reads a bounded part of a large table. It begins with what `check` would say.
    Exit code 0 whatever the state is, 3 where a server is unreachable or a part is missing: the page says so.

    Example: outboxctl report > outbox.html
    """
    from outboxctl.operations.report import overview

    configured = settings()
    state = overview(configured, lambda: reading(configured, longest=PATIENCE))
    with tolerate_closed_pipe():
        typer.echo(rendering.json_text(state) if json else page(state))
    for what, why in state.missing.items():
        print_progress(f"left out: {what}: {brief(why)}")
    if state.missing:
        raise typer.Exit(ExitCode.UNREACHABLE)


def page(overview: "Overview") -> str:
    """The whole page: what `check`, `status`, `stuck`, `failed list` and `audit` show, one by one."""
    from rich.console import Console

    out = Console(record=True, width=WIDTH, file=StringIO(), markup=False, highlight=False, emoji=False)
    for part in _parts(overview):
        out.print(part, "")
    return out.export_html(code_format=PAGE)


def _parts(overview: "Overview") -> Iterator[object]:
    from rich.text import Text

    yield Text(f"Outbox report: {overview.state}", style="bold")
    ends = (overview.database, ", ".join(overview.sink), overview.index)
    yield f"{rendering.cell(overview.at).plain}, {' to '.join(map(brief, ends))}"
    verdict = VERDICTS.get(overview.state, "It is unknown whether all is well.")
    yield Text("\n".join([verdict, *overview.findings]))
    for what, why in overview.missing.items():
        yield Text(f"Missing: {what}: {brief(why)}", style="bold red")
    if overview.standing:
        yield from _database(overview)
    if overview.drift and overview.drift.sampled:
        differing = overview.drift.differing
        example = f", such as {brief(differing[0])}: outboxctl verify" if differing else ""
        picked = f"Of {overview.drift.sampled} entities picked at random {len(differing) or 'none'}"
        yield f"{picked} differ in the index{example}."
    versions = f"PostgreSQL {overview.postgres or 'unknown'}, {overview.product or 'search engine unknown'}"
    yield f"{brief(versions)}, outboxctl {overview.outboxctl}"


def _database(overview: "Overview") -> Iterator[object]:
    from outboxctl.cli.failed.view import act
    from outboxctl.cli.status.view import STUCK_COLUMNS, cells, view

    assert overview.standing  # noqa: S101 - for the types
    yield view(overview.standing, most=ROWS, at=overview.at)
    if overview.stuck:
        yield rendering.table("Stuck", STUCK_COLUMNS, cells(STUCK_COLUMNS, overview.stuck, overview.at))
    if overview.causes:
        rows = [
            (
                cause.fingerprint,
                cause.error_reason,
                f"{cause.count:,}",
                rendering.distance(cause.last_failed_at, overview.at),
                brief(cause.folded, SAID),
            )
            for cause in overview.causes
        ]
        yield rendering.table(f"Causes ({len(rows)} of {overview.causes_in_all})", CAUSES, rows)
        yield "Deliver one again once it is fixed: outboxctl replay --fingerprint CAUSE --by WHO --reason WHY"
    yield from map(act, overview.acts or ())
