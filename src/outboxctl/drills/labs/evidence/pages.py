"""The pages of a whole run, each made from its report alone: Markdown, HTML made of that, and JUnit XML."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template
from xml.etree import ElementTree as ET

from outboxctl.domain.printable import clean
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import charts, files
from outboxctl.drills.labs.messages import in_language
from outboxctl.drills.labs.model import LabRun, LabVerdict, Record, RunState

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
LANGUAGES = {"en": "report", "zh": "report.zh"}
BY_NAME = {lab.name: lab for lab in LABS}
CSS = Path(__file__).with_name("report.css")
# It needs nothing else: no script, no font, no picture from elsewhere.
HTML = Template("""\
<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$css</style>
</head>
<body>
$body
</body>
</html>
""")


def write(path: Path, run: LabRun) -> None:
    """Write them into the run's folder, in both languages."""
    for language, name in LANGUAGES.items():
        files.write(path / f"{name}.md", LabPage(run, language).text())
        files.write(path / f"{name}.html", LabPage(run, language, drawn=True).html())
    files.write(path / "junit.xml", junit(run))


@dataclass(frozen=True)
class LabPage:
    """The report in one language; `drawn`: with charts and colours, as HTML between the Markdown."""

    run: LabRun
    language: str
    drawn: bool = False

    def html(self) -> str:
        """A page that can be opened from disk."""
        from markdown_it import MarkdownIt  # noqa: PLC0415 - for pages alone

        body = MarkdownIt("commonmark", {"html": True}).enable("table").render(self.text())
        title = f"{self._plain('Lab report')}: {self.run.verdict}"
        return HTML.substitute(language=self.language, title=title, css=CSS.read_text(), body=body)

    def text(self) -> str:
        """The page in Markdown."""
        run, say = self.run, self._say
        note = STATES.get(run.state)
        meaning = None if run.state is RunState.RUNNING else MEANINGS[run.verdict]
        counts = Counter(record.verdict for record in run.records)
        tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in LabVerdict)
        begun = datetime.fromisoformat(run.started_at).strftime("%Y-%m-%d %H:%M UTC")
        versions = ", ".join(f"{_escaped(name)} {_escaped(value)}" for name, value in run.versions.items())
        records = self._in_order()
        parts = [
            f"# {say('Lab report')}: {self._verdict(run.verdict)}",
            " ".join(say(text) for text in (meaning, note) if text),
            f"{len(records)} {say('labs')}: {tally}; {begun}, {run.seconds:.1f} s.",
            self._table(("Verdict", "Lab", "Question", "Took"), map(self._row, records)),
            f"{versions}.",
        ]
        for record in records:
            parts += self._lab(record)
        return "\n\n".join(parts) + "\n"

    def _in_order(self) -> list[Record]:
        """FAIL first, then INCONCLUSIVE, then OK; in each the document's labs by number, then the others."""
        worst_first = list(reversed(LabVerdict))
        numbers = {lab.name: lab.number or len(LABS) for lab in LABS}
        return sorted(
            self.run.records, key=lambda each: (worst_first.index(each.verdict), numbers[each.lab], each.lab)
        )

    def _row(self, record: Record) -> tuple[str, ...]:
        question = self._say(BY_NAME[record.lab].question)
        link = f"[{record.lab}](#{record.lab})"
        return self._verdict(record.verdict), link, question, f"{record.seconds:.1f} s"

    def _lab(self, record: Record) -> Iterator[str]:
        say, lab = self._say, BY_NAME[record.lab]
        anchor = f'<a id="{lab.name}"></a>' if self.drawn else ""
        yield f"## {anchor}{lab.name}"
        yield f"**{self._verdict(record.verdict)}** · {say(lab.title)}"
        told = {"Question": lab.question, "Hypothesis": lab.hypothesis, "Why": record.why}
        yield self._list({name: text for name, text in told.items() if text})
        if self.drawn:
            yield from charts.drawn(record, self._plain)
        if record.checks:
            yield f"### {say('Checks')}"
            cells = (
                (self._verdict(c.verdict), say(c.phase), say(c.name), _escaped(c.expected), _escaped(c.seen))
                for c in record.checks
            )
            yield self._table(("", "Phase", "Check", "Expected", "Seen"), cells)
        yield f"### {say('Conclusion')}"
        yield self._list(record.conclusion or {"Verdict": record.verdict})

    def _list(self, told: dict[str, str]) -> str:
        return "\n".join(f"- {self._say(name)}: {self._say(text)}" for name, text in told.items())

    def _table(self, heads: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
        lines = [tuple(map(self._say, heads)), ("---",) * len(heads), *rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def _verdict(self, verdict: LabVerdict) -> str:
        return f'<span class="{verdict}">{verdict}</span>' if self.drawn else verdict.value

    def _plain(self, text: str) -> str:
        return in_language(text, self.language)

    def _say(self, text: str) -> str:
        return _escaped(self._plain(text))


def _escaped(text: str) -> str:
    """A text for Markdown, where nothing in it is markup."""
    return MARKUP.sub(r"\\\1", clean(text))


def junit(run: LabRun) -> str:
    """JUnit XML, as CI systems show it: one suite with a case a lab."""
    outcomes = {record.lab: _outcome(record, run.state) for record in run.records}
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str([*outcomes.values()].count(kind)) for name, kind in kinds.items()}
    about = {"name": "outboxctl labs", "tests": str(len(run.records)), "timestamp": run.started_at}
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite", {**about, **counts, "time": f"{run.seconds:.3f}"})
    for record in run.records:
        case = {"classname": "outboxctl.labs", "name": record.lab, "time": f"{record.seconds:.3f}"}
        element = ET.SubElement(suite, "testcase", case)
        if outcome := outcomes[record.lab]:
            unmet = (f"{c.phase}: {c.name}: expected {c.expected}, seen {c.seen}" for c in record.unmet)
            ET.SubElement(element, outcome, message=record.why).text = "\n".join(unmet)
        ET.SubElement(element, "system-out").text = files.timeline(record)
    return FORBIDDEN.sub("\ufffd", ET.tostring(root, encoding="unicode")) + "\n"


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
