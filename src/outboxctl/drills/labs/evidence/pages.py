"""The pages of a whole run, each made from its report alone: HTML, Markdown and JUnit XML."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outboxctl.domain.printable import clean
from outboxctl.drills.labs import chinese
from outboxctl.drills.labs.evidence import charts, files, junit, words
from outboxctl.drills.labs.evidence.model import LabReport, RunReport, RunState
from outboxctl.drills.labs.model import BilingualText, LabVerdict, Line
from outboxctl.operations.report.templates import templates

if TYPE_CHECKING:
    from jinja2 import Environment

MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def write(path: Path, report: RunReport) -> None:
    """Write them into the run's folder."""
    files.write(path / "report.html", html(report, path))
    files.write(path / "report.md", markdown(report, "en"))
    files.write(path / "report.zh.md", markdown(report, "zh"))
    files.write(path / "junit.xml", junit.xml(report))


def html(report: RunReport, folder: Path) -> str:
    """One page that needs nothing else: no script, no font, no picture from elsewhere."""
    template = _environment(escape=True).get_template("report.html")
    return template.render(**_template_values(report), files=_files(folder))


def markdown(report: RunReport, language: str) -> str:
    """The whole report as Markdown in one language, `en` or `zh`."""
    environment = _environment(escape=False)
    environment.filters["say"] = lambda text: getattr(text, language)
    environment.filters["md"] = escaped
    return environment.get_template("report.md").render(**_template_values(report), language=language)


def escaped(text: object) -> str:
    """Text with all Markdown escaped."""
    return MARKUP.sub(r"\\\1", clean(str(text)))


def ordered(report: RunReport) -> list[LabReport]:
    """FAIL first, then INCONCLUSIVE, then OK; in each the document's labs by number, then the others."""
    order = list(LabVerdict)
    return sorted(report.labs, key=lambda lab: (-order.index(lab.record.verdict), lab.number or 99, lab.name))


def steps(lab: LabReport) -> list[Line | tuple[float, BilingualText]]:
    """Phases and the lines of the timeline, by second."""
    phases: list[tuple[float, Any]] = [(each.began, words.PHASES[each.phase]) for each in lab.record.phases]
    lines = [(each.at, each) for each in lab.record.timeline]
    in_order = sorted(phases + lines, key=lambda step: step[0])
    return [each if isinstance(each, Line) else (at, each) for at, each in in_order]


def _why(lab: LabReport) -> BilingualText:
    """Why it is not OK; in Chinese the first unmet check, if there is one."""
    why, unmet = lab.record.why, lab.unmet
    if lab.record.interrupted or not unmet:
        return BilingualText(why, why)
    return BilingualText(why, f"{unmet[0].name.zh}：预期 {unmet[0].expected}，实际 {unmet[0].seen}")


def _template_values(report: RunReport) -> dict[str, Any]:
    note = words.STATES.get(report.state) or (None if report.faults else words.PAGE["control"])
    begun = datetime.fromisoformat(report.started_at)
    return {
        "report": report,
        "begun": begun.strftime("%Y-%m-%d %H:%M UTC"),
        "labs": ordered(report),
        "meaning": note if report.state is RunState.RUNNING else words.MEANINGS[report.verdict],
        "note": note,
        "page": words.PAGE,
        "phases": words.PHASES,
        "verdicts": list(LabVerdict),
    }


def _files(folder: Path) -> dict[str, list[str]]:
    """The names of each lab's files, by the lab's name."""
    labs = [record.parent for record in folder.glob("*/record.json")]
    return {lab.name: [each.name for each in sorted(lab.iterdir()) if each.is_file()] for lab in labs}


def _environment(*, escape: bool) -> "Environment":
    environment = templates(__file__, escape=escape)  # off for Markdown, which escapes by a filter of its own
    environment.globals.update(charts=charts.charts, shades=charts.shades, steps=steps, why=_why)
    # A field of the conclusion, a snapshot, a command of `by_hand`, a fault or line of the timeline.
    environment.globals.update(
        filled=lambda field: BilingualText(field.value, field.zh),
        text=lambda taken: BilingualText(files.snapshot_text(taken), files.snapshot_text(taken, "zh")),
        command=lambda line: BilingualText(line, chinese.command(line, "zh")),
        line=lambda text: BilingualText(text, chinese.in_language(text, "zh")),
    )
    return environment
