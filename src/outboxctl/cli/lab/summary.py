"""The end of a run of labs: verdicts, unmet checks, conclusions, what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.cli.lab.catalogue import ordered
from outboxctl.domain.errors import ExitCode
from outboxctl.drills.labs.evidence.pages import STATES
from outboxctl.drills.labs.messages import in_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from outboxctl.drills.labs.model import LabRun, Record

PAGE = "report.html"
COLOURS = {"OK": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
CODES = {"OK": ExitCode.OK, "FAIL": ExitCode.FINDINGS, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}


def show(run: "LabRun", evidence: Path, lang: str, out: "Console") -> None:
    """Print verdicts, unmet checks, conclusions, and what to do next."""
    places = {lab.name: place for place, lab in enumerate(ordered())}
    records = sorted(run.records, key=lambda record: places.get(record.lab, len(places)))
    if state := STATES.get(run.state):
        out.print(in_language(state, lang))
    rows = [
        (each.lab, each.verdict, f"{each.seconds:.1f} s", in_language(each.why, lang)) for each in records
    ]
    _table(out, lang, "Labs", ("lab", "verdict", "took", "why"), rows)
    unmet = [
        (each.lab, in_language(check.phase, lang), in_language(check.name, lang), check.expected, check.seen)
        for each in records
        for check in each.unmet
    ]
    if unmet:
        _table(out, lang, "Not met", ("lab", "phase", "check", "expected", "seen"), unmet)
    for record in records:
        _show_conclusion(record, lang, out)
    out.print()
    out.print(in_language(f"Verdict: {run.verdict}", lang), style=COLOURS[run.verdict])
    out.print(in_language(f"Evidence: {evidence}", lang), soft_wrap=True)
    if (evidence / PAGE).exists():
        out.print(in_language(f"Charts: {evidence / PAGE}", lang), soft_wrap=True)
    for text in _advice(run, records, evidence):
        out.print(in_language(text, lang), soft_wrap=True)


def _table(
    out: "Console", lang: str, title: str, heads: tuple[str, ...], rows: "Sequence[tuple[str, ...]]"
) -> None:
    table = rendering.table(in_language(title, lang), [in_language(head, lang) for head in heads], rows)
    for cell in table.columns[1].cells:
        if isinstance(cell, Text):
            cell.style = COLOURS.get(cell.plain, "")
    out.print(table)


def _show_conclusion(record: "Record", lang: str, out: "Console") -> None:
    if record.conclusion:
        out.print(in_language(f"Conclusion of {record.lab}", lang), style="bold")
    for line in record.conclusion:
        text = f"  {in_language(line.name, lang)}: {in_language(line.value, lang)}"
        out.print(rendering.cell(text), soft_wrap=True)


def _advice(run: "LabRun", records: "list[Record]", evidence: Path) -> "Iterator[str]":
    """What to do with a verdict that is not OK."""
    bad = [record for record in records if record.verdict == run.verdict != "OK"]
    played = next((record for record in bad if record.phases), None)
    if any(record.interrupted for record in run.records):
        yield "The run was interrupted: all faults are undone. Run it again for a verdict."
    elif played:
        name = played.lab
        yield f"Look at {evidence / name}: the worker's log, the timeline and the snapshots of {name}."
        if replaced := _replaced(played):
            yield (
                f"Its expectations were written for its own settings; this run had {replaced}. The verdict "
                "may be of the settings, not of the system."
            )
        yield f"By hand: outboxctl lab list {name}"
        yield f"Once repaired: outboxctl lab run {name}"
    elif bad:
        yield f"Did not run, for what they need is not here: {', '.join(each.lab for each in bad)}"


def _replaced(record: "Record") -> str:
    """The worker's settings that this run had in place of the lab's own, or of the defaults."""
    own = next((lab.settings for lab in ordered() if lab.name == record.lab), {})
    others = {name: value for name, value in record.settings.items() if own.get(name) != value}
    return ", ".join(f"{name}={value}" for name, value in others.items() if name.startswith("OUTBOX_"))
