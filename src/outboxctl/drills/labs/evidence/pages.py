"""The pages of a whole run, each made from its report alone: HTML, Markdown and JUnit XML."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outboxctl.domain.printable import clean
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import charts, files
from outboxctl.drills.labs.messages import command, in_language
from outboxctl.drills.labs.model import LabRun, LabVerdict, Record, RunState

if TYPE_CHECKING:
    from jinja2 import Template

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char
MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~&])")
MEANINGS = {
    LabVerdict.OK: "Every hypothesis held.",
    LabVerdict.INCONCLUSIVE: "Nothing was refuted, but not every lab could show what it is about.",
    LabVerdict.FAIL: "At least one hypothesis was refuted: see the checks below.",
}
STATES = {
    RunState.RUNNING: "This run has not ended: it is under way, or it was killed.",
    RunState.INTERRUPTED: "This run was interrupted before its end.",
}
# File, template and language.
PAGES = (
    ("report.html", "report.html", "en"),
    ("report.md", "report.md", "en"),
    ("report.zh.md", "report.md", "zh"),
    ("junit.xml", "junit.xml", "en"),
)
SNAPSHOTS = {"A": "before", "B": "during", "C": "after"}


def write(path: Path, run: LabRun) -> None:
    """Write them into the run's folder.

    The HTML needs nothing else: no script, no font, no picture from elsewhere. JUnit XML, as CI systems show
    it, is one suite with a case a lab.
    """
    values = _template_values(run)
    for name, template, language in PAGES:
        page = _template(template, language).render(**values)
        files.write(path / name, FORBIDDEN.sub("\ufffd", page) + "\n" if name == "junit.xml" else page)


def _outcome(record: Record, state: RunState) -> str | None:
    """FAIL is a failure; an interrupted lab, or one that a killed run had not ended, an error.

    INCONCLUSIVE is `skipped`: it is shown with its reason, but does not fail a build whose servers lack what
    a lab needs; the exit code is 5 all the same.
    """
    if record.verdict is LabVerdict.FAIL:
        return "failure"
    if record.interrupted or (state is RunState.RUNNING and not record.started_at):
        return "error"
    return "skipped" if record.verdict is LabVerdict.INCONCLUSIVE else None


def _template_values(run: LabRun) -> dict[str, Any]:
    note, order = STATES.get(run.state), list(LabVerdict)
    numbers = {lab.name: lab.number or len(LABS) for lab in LABS}
    # FAIL first, then INCONCLUSIVE, then OK; in each the document's labs by number, then the others.
    first = sorted(run.records, key=lambda each: (-order.index(each.verdict), numbers[each.lab], each.lab))
    return {
        "run": run,
        "begun": datetime.fromisoformat(run.started_at).strftime("%Y-%m-%d %H:%M UTC"),
        "records": first,
        "outcomes": {record.lab: _outcome(record, run.state) for record in run.records},
        "labs": {lab.name: lab for lab in LABS},
        "meaning": note if run.state is RunState.RUNNING else MEANINGS[run.verdict],
        "note": note,
        "snapshots": SNAPSHOTS,
        "verdicts": order,
    }


def _template(name: str, language: str) -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for pages alone

    environment = Environment(
        autoescape=name != "report.md",  # noqa: S701 - Markdown escapes by a filter of its own
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(charts=charts.charts, shades=charts.shades, command=command)
    environment.globals.update(text=files.snapshot_text, in_language=in_language)
    environment.filters["say"] = lambda text: in_language(text, language)
    environment.filters["md"] = lambda text: MARKUP.sub(r"\\\1", clean(str(text)))
    return environment.get_template(name)
