"""The report of `projection plan`."""

from dataclasses import asdict
from shlex import quote
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.cli.projection import view
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from outboxctl.cli.projection.view import ServerNames
    from outboxctl.domain.projection import Follow, Projection
    from outboxctl.operations.projection.resolved import Planned

APPLY = "outboxctl projection apply {file} --by YOU --reason WHY"


def plan(
    planned: "Sequence[Planned]",
    file: "Path",
    servers: "ServerNames",
    *,
    gone: "Sequence[Projection]",
    json: bool,
) -> None:
    """Show the plan of a declaration file; the schemas of `gone` are not there any more."""
    report = {
        "servers": asdict(servers),
        "to_do": bool(gone) or any(each.steps for each in planned),
        "projections": [_with_costs(each) for each in planned],
        "gone": [{"name": each.name, "index": each.index, "schema": each.schema} for each in gone],
    }
    rendering.show(report, lambda: _lines(planned, file, gone), json=json)


def _with_costs(planned: "Planned") -> dict[str, Any]:
    report = view.planned(planned)
    for follow, behind in zip(report["follow"], planned.behind, strict=True):
        follow["median_documents"] = behind.median if behind else None
        follow["most_documents"] = behind.most if behind else None
        follow["sampled_rows"] = behind.rows if behind else None
    return report


def _lines(
    planned: "Sequence[Planned]",
    file: "Path",
    gone: "Sequence[Projection]",
) -> "Iterator[object]":
    from outboxctl.operations.projection.costs import one_of_each

    first = one_of_each(planned)
    made = set[str]()  # an index that several share is made once
    for each in planned:
        yield from _of_one(each, made)
        if each in first:  # of other schemas they are the same
            yield from _costs(each)
    for lost in gone:
        yield f"{lost.name}: {brief(lost.document, 200)} into {brief(lost.index, 255)}"
        yield rendering.Item(f"declaration: dropped: no schema {brief(repr(lost.schema), 100)} matches")
    yield from _next(planned, file, any_gone=bool(gone))


def _of_one(planned: "Planned", made: set[str]) -> "Iterator[object]":
    projection = planned.projection
    yield f"{projection.name}: {brief(projection.document, 200)} into {brief(projection.index, 255)}"
    yield from map(rendering.Item, _where(planned))
    for follow in projection.follow:
        yield rendering.Item(brief(f"follows {follow.table}: {_how(follow)}", rendering.room(400)))
    if not projection.triggers:
        yield rendering.Item("events are written by the application (outboxctl.touch)")
    if projection.version:
        yield rendering.Item(brief(f"version: the column {projection.version}", 200))
    if not any(step.what == "documents" for step in planned.steps):
        yield "  no document is read again" if planned.steps else "  nothing to do"
    yield from view.steps(planned.steps, made)
    yield from view.warnings(planned)


def _where(planned: "Planned") -> "Iterator[str]":
    """Which rows it is of, and which ids, where that is not what the file says as it stands."""
    projection = planned.projection
    if projection.id_prefix:
        shared = f"; {', '.join(planned.shares)} has the same index" if planned.shares else ""
        yield brief(f"ids begin with {projection.id_prefix}{shared}", 400)


def _costs(planned: "Planned") -> "Iterator[object]":
    """What the worker does for a change; an estimate, from a sample of the rows that are there."""
    rows = [
        (follow.table, *((f"{behind.median:,}", f"{behind.most:,}") if behind else (None, None)))
        for follow, behind in zip(planned.projection.follow, planned.behind, strict=True)
    ]
    if rows:
        yield rendering.table("Documents behind a changed row", ("table", "median", "most"), rows)


def _how(follow: "Follow") -> str:
    if follow.all:
        return "a change reaches every document"
    return f"key {', '.join(follow.key)}" if follow.key else f"keys {view.one_line(follow.keys)}"


def _next(planned: "Sequence[Planned]", file: "Path", *, any_gone: bool) -> "Iterator[object]":
    """The command that does what is planned; what `apply` does not do comes after it."""
    steps = [step for each in planned for step in each.steps]
    if any_gone or any(step.what != "rebuild" for step in steps):
        yield ""
        yield rendering.Unbroken(f"Next: {APPLY.format(file=quote(brief(file, 200)))}")
    yield from view.next_commands(planned)
