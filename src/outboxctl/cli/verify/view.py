"""The report of `verify`: the differences, and what a repair did about them."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from outboxctl.cli import rendering
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.operations.verify.model import VerifyReport
    from outboxctl.operations.verify.repair import Repaired

MEANING = {
    "missing": "a row without a document",
    "extra": "a document without a row",
    "stale": "the document is older than the row",
    "ahead": "the document is newer than the row",
    "altered": "the same version, another content",
}


def show(
    report: "VerifyReport",
    repaired: "Repaired | None",
    *,
    planned: "Repaired | None" = None,
    after: "VerifyReport | None" = None,
    json: bool,
) -> None:
    """Print a comparison, what a repair did or is `planned` to do, and the comparison `after` it."""
    parts = {"planned": planned, "repaired": repaired, "after": after}
    more = {name: asdict(part) if part else None for name, part in parts.items()}
    lines = [*_tables(report), _next(report, repaired, planned, compared=after is not None)]
    lines += ["", *_tables(after), _next(after, None, None, compared=True)] if after else []
    rendering.show(asdict(report) | {"dry_run": planned is not None} | more, lambda: lines, json=json)


def _tables(report: "VerifyReport") -> "Iterator[object]":
    yield _summary(report)
    if report.differences:
        cells = [(kind, f"{count:,}", MEANING[kind]) for kind, count in report.by_kind.items() if count]
        yield rendering.table("Differences", ("kind", "entities", "which is"), cells)
    if report.first:
        rest = report.differences - len(report.first)
        title = f"The first {len(report.first):,}, by version" if rest else "Each, by version"
        rows = [(d.kind, d.id, d.source_version, d.index_version) for d in report.first]
        yield rendering.table(title, ("kind", "document", "row", "index"), rows)


def _summary(report: "VerifyReport") -> str:
    what = "content and versions" if report.content else "versions only"
    both = f"{report.rows:,} rows, {report.documents:,} documents in {report.index}"
    if report.unchanged_since:
        return f"{both}; neither has changed since {report.unchanged_since}, when they agreed (see --full)."
    return f"{both}; {what}, {counted(report.buckets, 'bucket')}, {rendering.age(report.seconds)}."


def _next(
    report: "VerifyReport", repaired: "Repaired | None", planned: "Repaired | None", *, compared: bool
) -> str:
    lines = []
    if report.in_flight:
        lines.append(f"{report.in_flight:,} are in flight: their events are not delivered yet.")
    if not report.differences:
        lines.append("Otherwise both sides agree." if report.in_flight else "Both sides agree.")
    elif repaired:
        lines += _repair_lines(repaired, compared=compared)
    elif planned:
        lines += _planned_lines(planned)
    else:
        lines.append("Repair them: outboxctl verify --repair --by YOU --reason WHY")
    return "\n".join(lines)


def _planned_lines(planned: "Repaired") -> list[str]:
    lines = [
        f"A repair would enqueue {counted(planned.enqueued, 'event')} (dry run, nothing changed).",
        f"It would raise the event_version of {planned.raised:,} rows, and of those whose document was"
        " deleted under a higher version.",
    ]
    if planned.freed:
        lines.append(f"For {planned.freed:,} it would have the sink forget a version that leaves no room.")
    if planned.removed:
        lines.append(f"It would delete {planned.removed:,} documents at the sink that no event can name.")
    return [*lines, *_unrepaired_lines(planned)]


def _repair_lines(repaired: "Repaired", *, compared: bool) -> list[str]:
    then = "see below" if compared else "once they are delivered, run outboxctl verify again"
    lines = [f"{counted(repaired.enqueued, 'event')} enqueued; {then}."]
    if repaired.raised:
        lines.append(f"{repaired.raised:,} rows had their event_version raised to what the index holds.")
    if repaired.freed:
        lines.append(f"{repaired.freed:,} had a version in the index that left no room; it was reset.")
    if repaired.removed:
        lines.append(f"{repaired.removed:,} documents that no event can name were removed from the index.")
    return [*lines, *_unrepaired_lines(repaired), f"Act {repaired.act_id} in outboxctl audit"]


def _unrepaired_lines(repaired: "Repaired") -> list[str]:
    """What is not repaired, and what repairs it."""
    lines = []
    if repaired.foreign:
        lines.append(
            f"{repaired.foreign:,} documents that no event can name are left, as --keep-foreign says."
        )
    if repaired.too_high:
        lines.append(
            f"{repaired.too_high:,} are left: their version in the index leaves no room for the next ones,"
            " and was not reset. Run it again; that of a deleted document ends after the index's setting"
            " index.gc_deletes; `outboxctl rebuild` makes an index without them."
        )
    rest = repaired.left - repaired.foreign - repaired.too_high
    if rest:
        lines.append(f"{rest:,} are left: changed meanwhile, held, or beyond repair. Run it again.")
    return lines


def print_partial_repair(repaired: "Repaired") -> None:
    """Print on stderr what a repair did before an error."""
    if repaired.enqueued or repaired.removed or repaired.raised:
        rendering.console(stderr=True).print("\n".join(_repair_lines(repaired, compared=False)))
