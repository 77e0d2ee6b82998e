"""The report of `verify`: the differences, and what a repair did about them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from outboxctl.cli import rendering
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.operations.verify.model import Difference, VerifyReport
from outboxctl.operations.verify.repair import Repaired

MEANING = {
    "missing": "a row without a document",
    "extra": "a document without a row",
    "stale": "the document is older than the row",
    "ahead": "the document is newer than the row",
    "different": "another content than the row",
    "unreadable": "no document can be made of the row",
    "unreached": "a row of the view whose key no row of the root has",
    "uncounted": "as many rows as documents there are not",
}


@dataclass(frozen=True)
class Compared:
    """What came of one comparison: of search_index, whose `name` is empty, or of a projection.

    `planned`: what a repair would do. With an `error` there is no report.
    """

    name: str
    report: VerifyReport | None
    planned: Repaired | None = None
    repaired: Repaired | None = None
    error: OutboxctlError | None = None

    @property
    def left(self) -> int:
        """How many differences are left."""
        return self.repaired.left if self.repaired else self.report.differences if self.report else 0

    def to_json(self) -> dict[str, Any]:
        """The report, and what a repair did or would do."""
        if not self.report:
            return {"name": self.name, "error": str(self.error)}
        return asdict(self.report) | {
            "planned": self.planned and asdict(self.planned),
            "repaired": self.repaired and asdict(self.repaired),
        }


def show(compared: Sequence[Compared], *, skipped: str, dry_run: bool, json: bool) -> None:
    """Print the comparisons, and what their repairs did or are planned to do.

    `skipped` says why search_index was not compared.
    """
    report: dict[str, Any] = {"skipped": skipped} if skipped else {}
    for each in compared:
        if not each.name:
            report |= each.to_json()
    report |= {"dry_run": dry_run, "projections": [each.to_json() for each in compared if each.name]}
    rendering.show(report, lambda: _lines(compared, skipped), json=json)


def _lines(compared: Sequence[Compared], skipped: str) -> Iterator[object]:
    if skipped:
        yield f"search_index: not compared: {skipped}.\n"
    first = next((each for each in compared if each.error), None)
    for place, each in enumerate(compared):
        if place:
            yield ""
        if not each.report:
            said = each is first  # with what to do, at the end
            yield f"{each.name}: not compared" + (", see the end" if said else f": {each.error}")
            continue
        yield from _tables(each.report)
        yield _next(each.report, each.repaired, each.planned)


def _tables(report: VerifyReport) -> Iterator[object]:
    yield _summary(report)
    if report.differences:
        cells = [(kind, f"{count:,}", MEANING[kind]) for kind, count in report.by_kind.items() if count]
        yield rendering.table("Differences", ("kind", "documents", "which is"), cells)
    if report.first:
        rows = [(d.kind, d.id, d.error or _detail(d)) for d in report.first]
        some = report.differences > len(report.first)
        title = f"The first {len(report.first):,}" if some else "Each"
        yield rendering.table(title, ("kind", "document", "versions, fields or error"), rows)


def _detail(d: Difference) -> str:
    """The versions on both sides, where they differ, and the fields."""
    versions = {"row": d.source_version, "index": d.index_version}
    known = [f"{side} {version}" for side, version in versions.items() if version is not None]
    return ", ".join([*(known if d.source_version != d.index_version else []), *d.fields])


def _summary(report: VerifyReport) -> str:
    both = f"{report.rows:,} rows, {report.documents:,} documents in {report.index}"
    what = "content" if report.content else "presence" if report.name else "versions"
    name = f"{report.name}: " if report.name else ""
    return f"{name}{both}; {what} compared in {rendering.age(report.seconds)}."


def _next(report: VerifyReport, repaired: Repaired | None, planned: Repaired | None) -> str:
    lines = []
    if report.in_flight:
        lines.append(f"{report.in_flight:,} are in flight: their events are not delivered yet.")
    if not report.differences:
        lines.append("Otherwise both sides agree." if report.in_flight else "Both sides agree.")
    elif repaired:
        lines += _repair_lines(repaired)
    elif planned:
        lines += _planned_lines(planned, declared=bool(report.name))
    else:
        lines += _advice(report)
    return "\n".join(lines)


def _advice(report: VerifyReport) -> list[str]:
    """What mends the differences; where an event has failed, a replay does, and its row is not touched."""
    which = f"--projection {report.name} " if report.name else ""
    repair = f"Repair them: outboxctl verify {which}--repair --by YOU --reason WHY"
    if not report.with_failed_event:
        return [repair]
    have = "has" if report.with_failed_event == 1 else "have"
    failed = f"{report.with_failed_event:,} of them {have} a failed event: outboxctl failed list says why."
    all_ = "; it may be all that is needed" if report.with_failed_event == report.differences else ""
    return [failed, f"Fix the cause, then outboxctl replay{all_}.", repair]


def _planned_lines(planned: Repaired, *, declared: bool = False) -> list[str]:
    lines = [f"A repair would enqueue {counted(planned.enqueued, 'event')} (dry run, nothing changed)."]
    if not declared:
        lines.append(
            f"It would raise the event_version of {planned.raised:,} rows, and of those whose document was"
            " deleted under a higher version."
        )
    if planned.removed:
        lines.append(f"It would delete {planned.removed:,} documents in the index that no event can name.")
    return [*lines, *_unrepaired_lines(planned)]


def _repair_lines(repaired: Repaired) -> list[str]:
    then = "once they are delivered, run outboxctl verify again"
    lines = [f"{counted(repaired.enqueued, 'event')} enqueued; {then}."]
    if repaired.raised:
        lines.append(f"{repaired.raised:,} rows had their event_version raised to what the index holds.")
    if repaired.removed:
        lines.append(f"{repaired.removed:,} documents that no event can name were removed from the index.")
    return [*lines, *_unrepaired_lines(repaired), f"Act {repaired.act_id} in outboxctl audit"]


def _unrepaired_lines(repaired: Repaired) -> list[str]:
    """What is not repaired, and what repairs it."""
    lines = []
    if repaired.foreign:
        lines.append(
            f"{repaired.foreign:,} documents that no event can name are left, as --keep-foreign says."
        )
    if repaired.too_high:
        lines.append(
            f"{repaired.too_high:,} are left: their version in the index leaves no room for the next ones."
            " `outboxctl rebuild` makes an index without them."
        )
    rest = repaired.left - repaired.foreign - repaired.too_high
    if rest:
        lines.append(f"{rest:,} are left: changed meanwhile, held, or beyond repair. Run it again.")
    return lines


def print_partial_repair(repaired: Repaired) -> None:
    """Print on stderr what a repair did before an error."""
    if repaired.enqueued or repaired.removed or repaired.raised:
        rendering.console(stderr=True).print("\n".join(_repair_lines(repaired)))
