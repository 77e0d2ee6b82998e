"""`lab report`, and the end of a run: verdicts, unmet checks, conclusions, what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.lab.catalogue import Lang, Language, ordered
from outboxctl.cli.lab.run_arguments import HOME
from outboxctl.cli.options import Json
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from outboxctl.drills.labs.model import LabRun

PAGE = "report.html"
COLOURS = {"OK": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
CODES = {"OK": ExitCode.OK, "FAIL": ExitCode.FINDINGS, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Evidence of a run, or a folder of such: its newest run."),
    ] = HOME,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """Show the newest run's evidence; exits as that run did.

    Example: outboxctl lab report
    """
    from outboxctl.drills.labs.evidence import load, newest

    path = newest(folder)
    run = load(path)
    show(run, path, lang, json=json)
    raise typer.Exit(CODES[run.verdict])


def show(run: "LabRun", evidence: Path, lang: str, *, json: bool) -> None:
    """Print a run as JSON, or for people; its reader may go away."""
    with tolerate_closed_pipe():
        rendering.emit_json(run) if json else _print(run, evidence, lang, rendering.console())


def _print(run: "LabRun", evidence: Path, lang: str, out: "Console") -> None:
    from outboxctl.drills.labs.evidence.pages import STATES
    from outboxctl.drills.labs.messages import in_language

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
        if record.conclusion:
            out.print(in_language(f"Conclusion of {record.lab}", lang), style="bold")
        for line in record.conclusion:
            text = f"  {in_language(line.name, lang)}: {in_language(line.value, lang)}"
            out.print(rendering.cell(text), soft_wrap=True)
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
    from rich.text import Text

    from outboxctl.drills.labs.messages import in_language

    table = rendering.table(in_language(title, lang), [in_language(head, lang) for head in heads], rows)
    for cell in table.columns[1].cells:
        if isinstance(cell, Text):
            cell.style = COLOURS.get(cell.plain, "")
    out.print(table)
