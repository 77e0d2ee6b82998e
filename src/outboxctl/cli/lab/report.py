"""`lab report`, and the end of a run: verdicts, unmet checks, conclusions, what to do next."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.lab.catalogue import Lang, Language, ordered
from outboxctl.cli.options import Json
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from outboxctl.cli.lab.catalogue import Phrase
    from outboxctl.drills.labs.model import LabRun

HOME = Path("lab-evidence")
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
    rendering.show(run, lambda: _lines(run, evidence, lang), json=json)


def _lines(run: "LabRun", evidence: Path, lang: str) -> "Iterator[Any]":
    from rich.text import Text

    from outboxctl.drills.labs.evidence.pages import STATES
    from outboxctl.drills.labs.messages import in_language

    say = partial(in_language, language=lang)
    places = {lab.name: place for place, lab in enumerate(ordered())}
    records = sorted(run.records, key=lambda record: places.get(record.lab, len(places)))
    if state := STATES.get(run.state):
        yield say(state)
    rows = [(each.lab, each.verdict, f"{each.seconds:.1f} s", say(each.why)) for each in records]
    yield _table(say, "Labs", ("lab", "verdict", "took", "why"), rows)
    unmet = [
        (each.lab, say(check.phase), say(check.name), check.expected, check.seen)
        for each in records
        for check in each.unmet
    ]
    if unmet:
        yield _table(say, "Not met", ("lab", "phase", "check", "expected", "seen"), unmet)
    for record in records:
        if record.conclusion:
            yield Text(say(f"Conclusion of {record.lab}"), style="bold")
        for name, value in record.conclusion.items():
            yield rendering.Unbroken(rendering.cell(f"  {say(name)}: {say(value)}"))
    yield ""
    yield Text(say(f"Verdict: {run.verdict}"), style=COLOURS[run.verdict])
    yield rendering.Unbroken(say(f"Evidence: {evidence}"))
    if (evidence / PAGE).exists():
        yield rendering.Unbroken(say(f"Charts: {evidence / PAGE}"))
    bad = next((each for each in records if each.verdict == run.verdict != "OK" and each.timeline), None)
    if bad:
        text = f"Look at {evidence / bad.lab}: the worker's log, the timeline and the snapshots of {bad.lab}."
        yield rendering.Unbroken(say(text))


def _table(say: "Phrase", title: str, heads: tuple[str, ...], rows: "Sequence[tuple[str, ...]]") -> "Table":
    from rich.text import Text

    table = rendering.table(say(title), [say(head) for head in heads], rows)
    for cell in table.columns[1].cells:
        if isinstance(cell, Text):
            cell.style = COLOURS.get(cell.plain, "")
    return table
