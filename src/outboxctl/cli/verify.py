"""`verify`: does the index say what the database says? And its repair."""

import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.guards import Yes, acting
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, checked_database, settings
from outboxctl.cli.selection import DryRun
from outboxctl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Database
    from outboxctl.settings import Settings
    from outboxctl.sink.scan import Reader
    from outboxctl.verify.model import Report
    from outboxctl.verify.repair import Repair

INTERRUPTED = 130
POLL = 0.5  # seconds between two looks at a repair's events
LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time

VersionsOnly = Annotated[
    bool, typer.Option("--versions-only", help="Compare versions but no content: twice as fast.")
]
Full = Annotated[
    bool, typer.Option("--full", help="Read everything, also where nothing has changed since they agreed.")
]
Mend = Annotated[bool, typer.Option("--repair", help="Enqueue events for what differs.")]
Who = Annotated[
    str | None, typer.Option("--by", help="Who repairs (goes into the audit).", show_default=False)
]
Why = Annotated[str | None, typer.Option("--reason", help="Why (goes into the audit).", show_default=False)]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        min=0.1,
        max=86_400,
        help="After a repair wait at most so many seconds for its delivery, then compare again.",
        show_default=False,
    ),
]
Shown = Annotated[
    int, typer.Option("--limit", min=0, max=1_000_000, help="Show at most so many of them; all are counted.")
]


def verify(
    versions_only: VersionsOnly = False,
    full: Full = False,
    repair: Mend = False,
    by: Who = None,
    reason: Why = None,
    dry_run: DryRun = False,
    wait: Wait = None,
    yes: Yes = False,
    limit: Shown = 20,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Compare search_index with the index, entity by entity; exit 4 where they differ.

    With --repair what differs is enqueued as ordinary, audited events, which a worker delivers; exit 0
    if nothing was left out. Entities that events are under way for are counted apart.

    Example: outboxctl verify --repair --by alice --reason "restored from a snapshot" --dry-run
    """
    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    who = _who(by, reason, wait, repair=repair)
    look = Look(not versions_only, full, limit, json, planned=repair and dry_run)
    if repair and not dry_run:
        raise typer.Exit(_repair(given, look, *who, wait=wait, yes=yes))
    raise typer.Exit(_verify(given, look))


@dataclass(frozen=True)
class Look:
    """How to compare and how to show it."""

    content: bool
    full: bool
    limit: int
    json: bool
    planned: bool

    def at(self, database: "Database", reader: "Reader", **more: Any) -> "Report":
        """Compare with a progress bar."""
        from outboxctl.cli import render
        from outboxctl.verify.survey import survey

        with render.progress("comparing", _rows(database)) as advance:
            return survey(
                database,
                reader,
                content=self.content,
                full=self.full,
                limit=self.limit,
                advance=advance,
                **more,
            )


def _rows(database: "Database") -> int:
    """How many there are, if anybody is to see the progress."""
    from outboxctl.core import entities

    if not sys.stderr.isatty():
        return 0
    with database.begin() as connection:
        return entities.count(connection)


def _verify(given: "Settings", look: Look) -> int:
    from outboxctl.cli.drift import show
    from outboxctl.verify.compare import CONNECTIONS

    with checked_database(given, connections=CONNECTIONS) as db, _reader(given) as reader:
        report = look.at(db, reader)
    show(report, None, planned=look.planned, json=look.json)
    return ExitCode.FINDINGS if report.differences else ExitCode.OK


def _repair(given: "Settings", look: Look, by: str, reason: str, *, wait: float | None, yes: bool) -> int:
    """Compare and enqueue as it goes; ^C ends it between two batches."""
    from outboxctl.cli.drift import show
    from outboxctl.verify.compare import CONNECTIONS

    what = f"repair the index {given.elastic_index}"
    with (
        acting(given, what, yes=yes, connections=CONNECTIONS + 1) as db,
        _reader(given) as reader,
    ):
        report, repair, interrupted = _mend(db, reader, look, by, reason)
        after = None
        if wait and report.differences and not interrupted:
            _wait(repair, wait)
            after = look.at(db, reader)
    show(report, repair.done, after=after, json=look.json)
    if interrupted:
        return INTERRUPTED
    left = after.differences if after else repair.done.left
    return ExitCode.FINDINGS if left else ExitCode.OK


def _mend(
    db: "Database", reader: "Reader", look: Look, by: str, reason: str
) -> "tuple[Report, Repair, bool]":
    from outboxctl.acts.batches import stoppable
    from outboxctl.sink.mend import Mender
    from outboxctl.verify.repair import Repair

    repair = Repair(db, Mender(reader.client, reader.shape.index), by, reason)
    with stoppable() as stop:
        report = look.at(db, reader, stop=stop, act=lambda found: repair.run(found, stop=stop))
        return report, repair, stop.is_set()


def _wait(repair: "Repair", seconds: float) -> None:
    """Until the repair's events are delivered or have failed, or the time is up."""
    from time import monotonic, sleep

    from outboxctl.cli import render

    end, left = monotonic() + seconds, repair.undelivered()
    with render.progress("waiting for a worker", left) as advance:
        while left and monotonic() < end:
            sleep(min(POLL, max(0.0, end - monotonic())))
            before, left = left, repair.undelivered()
            advance(before - left)


@contextmanager
def _reader(given: "Settings") -> "Iterator[Reader]":
    from outboxctl.sink.client import connect
    from outboxctl.sink.scan import Reader

    with closing(connect(given, timeout=LONGEST_SILENCE)) as client:
        yield Reader(client, given.elastic_index)


def _who(by: str | None, reason: str | None, wait: float | None, *, repair: bool) -> tuple[str, str]:
    """Who repairs and why, both blank for a mere look; UsageError for what does not go together."""
    from outboxctl.cli import parse

    if not repair:
        given = {"--by": by, "--reason": reason, "--wait": wait}
        idle = next((flag for flag, value in given.items() if value is not None), None)
        if idle:
            raise UsageError(f"{idle} belongs to a repair", hint="add --repair, or leave it out")
        return "", ""
    if by is None or reason is None:
        raise UsageError("--repair needs --by and --reason", hint="they go into the audit")
    return parse.words("--by", by, 120), parse.words("--reason", reason, 2_000)
