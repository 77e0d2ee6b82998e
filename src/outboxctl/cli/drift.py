"""How `verify` says what it found and what it did about it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from outboxctl.cli import render
from outboxctl.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from outboxctl.verify.model import Report
    from outboxctl.verify.repair import Repaired

MEANING = {
    "missing": "a row without a document",
    "extra": "a document without a row",
    "stale": "the document is older than the row",
    "ahead": "the document is newer than the row",
    "altered": "the same version, another content",
}
COLUMNS = ("kind", "document", "row", "index")


def show(
    report: "Report",
    repaired: "Repaired | None",
    *,
    planned: bool = False,
    after: "Report | None" = None,
    json: bool,
) -> None:
    """Print a comparison, what a repair did, and the comparison `after` it.

    `planned`: what a repair would do (a dry run).
    """
    if json:
        more = {
            name: asdict(one) if one else None for name, one in (("repaired", repaired), ("after", after))
        }
        render.emit_json(asdict(report) | {"dry_run": planned} | more)
        return
    out = render.console()
    _print(out, report)
    out.print(_next(report, repaired, planned=planned, compared=after is not None))
    if after:
        out.print()
        _print(out, after)
        out.print(_next(after, None, planned=False))


def _print(out: "Console", report: "Report") -> None:
    out.print(_summary(report))
    if report.differences:
        out.print(_kinds(report))
    if report.first:
        out.print(_first(report))


def _summary(report: "Report") -> str:
    what = "content and versions" if report.content else "versions only"
    both = f"{report.rows:,} rows, {report.documents:,} documents in {report.index}"
    if report.unchanged_since:
        return f"{both}; neither has changed since {report.unchanged_since}, when they agreed (see --full)."
    return f"{both}; {what}, {counted(report.buckets, 'bucket')}, {render.age(report.seconds)}."


def _kinds(report: "Report") -> "Table":
    cells = [(kind, f"{count:,}", MEANING[kind]) for kind, count in report.by_kind.items() if count]
    return render.table("Differences", ("kind", "entities", "which is"), cells)


def _first(report: "Report") -> "Table":
    rest = report.differences - len(report.first)
    title = f"The first {len(report.first):,}, by version" if rest else "Each, by version"
    cells = [(d.kind, d.id, d.source_version, d.index_version) for d in report.first]
    return render.table(title, COLUMNS, cells)


def _next(report: "Report", repaired: "Repaired | None", *, planned: bool, compared: bool = False) -> str:
    lines = []
    if report.in_flight:
        lines.append(f"{report.in_flight:,} are in flight: their events are not delivered yet.")
    if not report.differences:
        lines.append("Otherwise both sides agree." if report.in_flight else "Both sides agree.")
    elif repaired:
        lines += _deeds(repaired, compared=compared)
    elif planned:
        lines.append("A repair would enqueue events for these (dry run, nothing changed).")
    else:
        lines.append("Mend them: outboxctl verify --repair --by YOU --reason WHY")
    return "\n".join(lines)


def _deeds(repaired: "Repaired", *, compared: bool) -> list[str]:
    then = "see below" if compared else "once they are delivered, run outboxctl verify again"
    said = [f"{counted(repaired.enqueued, 'event')} enqueued; {then}."]
    if repaired.raised:
        said.append(f"{repaired.raised:,} rows had their event_version raised to what the index holds.")
    if repaired.removed:
        said.append(f"{repaired.removed:,} documents that no event can name were removed from the index.")
    if repaired.left:
        said.append(f"{repaired.left:,} were left: changed meanwhile, or beyond repair. Run it again.")
    return [*said, f"Act {repaired.act_id} in outboxctl audit"]
