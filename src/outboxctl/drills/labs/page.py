"""The page of a run in HTML: verdicts, checks, conclusions, a timeline, and charts in SVG.

It needs nothing else: no script, no font, no picture from elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from html import escape
from math import ceil
from pathlib import Path

from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.messages import in_language
from outboxctl.drills.labs.model import LabCheck, LabRun, LabVerdict, Record, RunState, Window

MEANINGS = {
    LabVerdict.OK: "Every hypothesis held.",
    LabVerdict.INCONCLUSIVE: "Nothing was refuted, but not every lab could show what it is about.",
    LabVerdict.FAIL: "At least one hypothesis was refuted: see the checks below.",
}
STATES = {
    RunState.RUNNING: "This run has not ended: it is under way, or it was killed.",
    RunState.INTERRUPTED: "This run was interrupted before its end.",
}
CSS = Path(__file__).with_name("report.css")
CSP = "default-src 'none'; style-src 'unsafe-inline'"
LAB = {lab.name: lab for lab in LABS}
WIDTH, HEIGHT, LEFT, TOP, BELOW = 600, 140, 60, 10, 18  # of a chart's field, and of the labels around it
MAX_POINTS = 160  # of a line in a chart
STATUSES = ("done", "failed", "processing", "pending")  # from the bottom
SINGLE_LINES = {"lag": "Lag, events", "oldest_age": "Oldest event, s", "attempts": "Attempts in all"}


def html(run: LabRun, language: str) -> str:
    """Return the page in one language: `en` or `zh`."""
    say = partial(in_language, language=language)
    counts = Counter(record.verdict for record in run.records)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in LabVerdict)
    began = datetime.fromisoformat(run.started_at).strftime("%Y-%m-%d %H:%M UTC")
    meaning = "" if run.state is RunState.RUNNING else MEANINGS[run.verdict]
    said = " ".join(say(text) for text in (meaning, STATES.get(run.state, "")) if text)
    records = [
        record for verdict in reversed(LabVerdict) for record in run.records if record.verdict is verdict
    ]
    versions = ", ".join(f"{name} {value}" for name, value in run.versions.items())
    rows = (
        (
            _verdict(record.verdict),
            f'<a href="#{record.lab}">{record.lab}</a>',
            escape(say(LAB[record.lab].question)),
            f"{record.seconds:.1f} s",
        )
        for record in records
    )
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{say('Lab report')}: {run.verdict}</title><style>{CSS.read_text()}</style></head><body>",
        f"<h1>{say('Lab report')}: {_verdict(run.verdict)}</h1><p>{escape(said)}</p>",
        f"<p>{len(records)} {say('labs')}: {tally}; {began}, {run.seconds:.1f} s.</p>",
        _table([say(head) for head in ("Verdict", "Lab", "Question", "Took")], rows),
        f"<p>{escape(versions)}.</p>",
        *(part for record in records for part in _lab(record, say)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def timeline(record: Record) -> str:
    """Return what was done, a line each with its second."""
    return "".join(f"{each.at:8.3f}  {each.text}\n" for each in record.timeline)


def _lab(record: Record, say: "partial[str]") -> Iterator[str]:
    """Return the part of one lab; `record` may hold any text, so each is escaped."""
    lab = LAB[record.lab]
    yield f'<h2 id="{lab.name}">{lab.name}</h2>'
    yield f"<p><b>{_verdict(record.verdict)}</b> · {escape(say(lab.title))}</p>"
    told = {"Question": lab.question, "Hypothesis": lab.hypothesis, "Why": record.why}
    yield _list({name: text for name, text in told.items() if text}, say)
    yield from _charts(record, say)
    if record.checks:
        heads = [say(head) if head else "" for head in ("", "Phase", "Check", "Expected", "Seen")]
        yield f"<h3>{say('Checks')}</h3>{_table(heads, (_check(check, say) for check in record.checks))}"
    yield f"<h3>{say('Conclusion')}</h3>{_list(record.conclusion or {'Verdict': record.verdict}, say)}"
    yield f"<details><summary>{say('Timeline')}</summary><pre>{escape(timeline(record))}</pre></details>"


def _check(check: LabCheck, say: "partial[str]") -> tuple[str, ...]:
    texts = (say(check.phase), say(check.name), check.expected, check.seen)
    return (_verdict(check.verdict), *map(escape, texts))


def _verdict(verdict: LabVerdict) -> str:
    return f'<span class="{verdict}">{verdict}</span>'


def _list(told: Mapping[str, str], say: "partial[str]") -> str:
    items = (f"<li>{escape(say(name))}: {escape(say(text))}</li>" for name, text in told.items())
    return f"<ul>{''.join(items)}</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"


def _charts(record: Record, say: "partial[str]") -> Iterator[str]:
    """Return a legend, and a chart each of statuses, lag, age and attempts; nothing without samples."""
    samples = record.samples[:: ceil(len(record.samples) / MAX_POINTS) or 1]
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return
    times, counts = [each.at for each in samples], [each.look for each in samples]
    stacked = {
        name: [sum(getattr(each, below) for below in STATUSES[:number]) for each in counts]
        for number, name in enumerate(STATUSES, 1)
    }
    lines = {"Events by status": dict(reversed(stacked.items()))}  # the highest is behind the others
    lines |= {title: {name: [getattr(each, name) for each in counts]} for name, title in SINGLE_LINES.items()}
    end = max(record.seconds, times[-1], *(window.ended or 0.0 for window in record.windows)) or 1.0
    yield _legend(record.windows, say)
    charts = (_chart(say(title), each, times, record.windows, end) for title, each in lines.items())
    yield f'<div class="charts">{"".join(charts)}</div>'


def _legend(windows: Sequence[Window], say: "partial[str]") -> str:
    keys = [(name, name) for name in reversed(STATUSES)]
    for window in windows:
        until = "…" if window.ended is None else f"{window.ended:.1f}"
        keys.append(("window", f"{say('fault')}: {say(window.fault)} ({window.began:.1f}-{until} s)"))
    marks = "".join(f"<i class={kind}></i>{escape(text)} " for kind, text in keys)
    return f'<div class="legend">{marks}</div>'


def _chart(
    title: str,
    lines: Mapping[str, Sequence[float]],
    times: Sequence[float],
    windows: Sequence[Window],
    end: float,
) -> str:
    """Return a chart: an area down to 0 for each line, the windows above them, the marks of both axes."""
    top, base = max(map(max, lines.values())) or 1, TOP + HEIGHT

    def x(second: float) -> int:
        return round(LEFT + second / end * WIDTH)

    def points(values: Sequence[float]) -> str:
        line = [f"{x(at)},{base - value / top * HEIGHT:.1f}" for at, value in zip(times, values, strict=True)]
        return " ".join([f"{x(times[0])},{base}", *line, f"{x(times[-1])},{base}"])

    shapes = [f'<polygon class="{name}" points="{points(values)}"/>' for name, values in lines.items()]
    for window in windows:
        left, right = x(window.began), x(end if window.ended is None else window.ended)
        width = max(2, right - left)
        shapes.append(f'<rect class="window" x="{left}" y="{TOP}" width="{width}" height="{HEIGHT}"/>')
    highest = f"{top:,.1f}".removesuffix(".0")
    marks = ((LEFT - 5, TOP + 10, highest), (LEFT - 5, base, "0"), (LEFT + WIDTH, base + 15, f"{end:.1f} s"))
    shapes += [f'<text x="{at}" y="{y}" text-anchor="end">{text}</text>' for at, y, text in marks]
    box, caption = f'viewBox="0 0 {LEFT + WIDTH + 5} {base + BELOW}"', escape(title)
    svg = f'<svg {box} role="img" aria-label="{caption}">{"".join(shapes)}</svg>'
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"
