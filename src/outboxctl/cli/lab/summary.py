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
    from collections.abc import Sequence

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
    bad = next((each for each in records if each.verdict == run.verdict != "OK" and each.phases), None)
    if bad:
        text = f"Look at {evidence / bad.lab}: the worker's log, the timeline and the snapshots of {bad.lab}."
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
