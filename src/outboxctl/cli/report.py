"""`report`: what `check`, `status` and `failed list` print, in one text to send on."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import typer

from outboxctl import __version__
from outboxctl.cli import check, rendering
from outboxctl.cli.failed import command as failed
from outboxctl.cli.guards import reading
from outboxctl.cli.options import Json, print_progress, settings
from outboxctl.cli.status.command import read_status
from outboxctl.domain.errors import ExitCode, UnreachableError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.operator.selection import Group
    from outboxctl.settings import Settings

SECTION_SECONDS = 10.0  # for each section: a report without one of them is better than none
MAX_CAUSES = 20
Section = TypeVar("Section")


def report(json: Json = False) -> None:
    """Print what `check`, `status` and `failed list` print, as one text to send on.

    Changes nothing. Exit code 0 whatever the state is (`check` is for alarms), 3 if the database is
    unreachable or a section is left out.

    Example: outboxctl report > outbox.txt
    """
    from outboxctl.operations.check.figures import CheckLimits

    configured = settings()
    figures, problem = check.read_figures(configured, CheckLimits(configured.sla_oldest_age_seconds))
    status = _read("status", lambda: read_status(configured, longest=SECTION_SECONDS))
    groups = _read("failed list", lambda: _causes(configured))

    def lines() -> "Iterator[object]":
        from outboxctl.cli.status.view import lines as status_lines

        yield f"outboxctl {__version__}, {rendering.cell(datetime.now(UTC)).plain}"
        yield from ("", "outboxctl check", *check.lines(figures, problem))
        if status:
            yield from ("", "outboxctl status", *status_lines(status))
        if groups is not None:
            yield from ("", "outboxctl failed list", *failed.cause_lines(groups, MAX_CAUSES))

    sections = {
        "check": check.as_json(figures, problem),
        "status": status and asdict(status),
        "failed": None if groups is None else failed.causes_json(groups, MAX_CAUSES),
    }
    rendering.show(sections, lines, json=json)
    if problem or status is None or groups is None:
        raise typer.Exit(ExitCode.UNREACHABLE)


def _read(name: str, read: Callable[[], Section]) -> Section | None:
    """Return a section; None, with a line on stderr, if its database cannot be reached in time."""
    try:
        return read()
    except UnreachableError as error:
        print_progress(f"left out: {name}: {brief(error)}")
        return None


def _causes(configured: "Settings") -> "list[Group]":
    from outboxctl.core.operator.selection import Selection, failed_groups

    with reading(configured, longest=SECTION_SECONDS) as connection:
        return failed_groups(connection, Selection())
