"""RESULTS.json, and RESULTS.md made from it: the bounds, and a section for each command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.figure import BROKEN, UNKNOWN, BenchFigure, markdown_table, table
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

HEAD = ["what", "bound", "median", "spread", "verdict", "section"]
STORED = ("name", "unit", "values")  # of a figure: its bound is where the bounds are
HERE = Path(__file__).parent
INTRO = """\
# Benchmark results

Generated from RESULTS.json by the commands below; do not edit. Each section can be measured again alone.

## Bounds

A median that has passed its bound is a REGRESSION. What was asked for and given up, and why, is in
[a decision](../docs/adr/0074-targets-that-were-given-up.md); its bound is what was measured, with a margin.
On a virtual machine times and CPU change with the hour, by a third and more, and those of the servers with
ours: bounds are ratios of one run wherever there is something to divide by.
"""


@dataclass(frozen=True)
class Bound:
    """The median of `figure` in `section` must be under `limit`, or with `at_least` at or above it."""

    what: str
    section: str
    figure: str
    limit: float
    at_least: bool = False


NESTED, ENDS = "Nested documents", "Nested documents against both ends"
FOLLOW = "Follow events"
WRITERS = "Writers beside two projections"
FAN_OUT = "A million documents behind one row"
UNCHANGED = "A pass over unchanged documents"
UNUSED_LARGE = "large: UPDATE of an unused column, with/bare"
PLAIN = {"INSERT": 0.7, "UPDATE": 0.54, "DELETE": 0.7}
SINGLE = {"INSERT": (0.6, 2.2), "UPDATE": (0.56, 2.7)}
BOUNDS = (
    Bound("end to end against the bound B", "Pipeline", "E/B", 0.8, at_least=True),
    Bound("B against the sink alone", "Pipeline", "B/S", 0.45, at_least=True),
    Bound("a stream's lag when its writer ends", "Stream", "lag when the writer ends", 1),
    Bound("the longest claim of a stream", "Stream", "longest claim", 100),
    Bound("the longest claim of a backlog", "Pipeline", "longest claim, backlog", 100),
    Bound("worker CPU an event, against the engine's", "Pipeline", "worker/Elasticsearch CPU", 0.38),
    Bound("PostgreSQL CPU, against the engine's", "Pipeline", "PostgreSQL/Elasticsearch CPU", 0.9),
    Bound("the worker's memory beside a backlog", "Pipeline", "worker memory, backlog", 150),
    Bound("commit to acknowledged/request, p50", "Latency", "50/s, NOTIFY/the sink alone, p50", 2.4),
    Bound("commit to acknowledged/request, p99", "Latency", "50/s, NOTIFY/the sink alone, p99", 1.9),
    Bound("beside a projection in trouble, p50", "Isolation", "all, p50", 65),
    Bound("beside a projection in trouble, p99", "Isolation", "all, p99", 500),
    Bound("fifty quiet projections", "Isolation", "50 quiet projections, the worker", 0.25),
    Bound("nested documents: rebuild against both ends", ENDS, "rebuild/bound", 0.4, at_least=True),
    Bound("children updated, delivered", ENDS, "children updated/bound", 0.46, at_least=True),
    Bound("categories renamed, delivered", ENDS, "categories renamed/bound", 0.5, at_least=True),
    Bound("nested documents compared, against reading", ENDS, "verify/R", 0.42, at_least=True),
    Bound("own CPU for it, against the servers'", ENDS, "verify: own/servers' CPU", 0.88),
    Bound("20,000 follow events, expanded", FOLLOW, "expanded, few waiting", 10_000, at_least=True),
    Bound("the same with 200,000 waiting", FOLLOW, "many/few", 0.9, at_least=True),
    Bound("all right after their writer's end", FOLLOW, "right after the writer's end", 5),
    *(
        Bound(f"{change}, {kind} table", WRITERS, f"{kind}: {change}, with/bare", limit, at_least=True)
        for kind, limits in (("plain", PLAIN), ("partitioned", dict.fromkeys(PLAIN, 0.5)))
        for change, limit in limits.items()
    ),
    Bound("rows of 64 kB, no document uses what changes", WRITERS, UNUSED_LARGE, 0.54, at_least=True),
    *(
        Bound(f"{change} of single rows", WRITERS, f"single: {change}, with/bare", limit, at_least=True)
        for change, (limit, _) in SINGLE.items()
    ),
    *(
        Bound(f"CPU of one, {change}", WRITERS, f"single: {change}, PostgreSQL CPU, with/bare", limit)
        for change, (_, limit) in SINGLE.items()
    ),
    Bound("a change with 1,000,000 documents", FAN_OUT, "the change's transaction", 2),
    Bound("its keys, expanded", FAN_OUT, "expanded", 100_000, at_least=True),
    Bound("the worker's memory meanwhile", FAN_OUT, "worker memory, last third/middle third", 1.05),
    Bound("unchanged documents, looked at, against sent", UNCHANGED, "looked at/sent", 1.8, at_least=True),
    Bound("of these sent", UNCHANGED, "unchanged, sent", 1),
    Bound("a first fill beside pgsync's", NESTED, "first fill, outboxctl/pgsync", 1.4, at_least=True),
    Bound("updates of children beside pgsync's", NESTED, "updates, outboxctl/pgsync", 3, at_least=True),
    Bound("lag of children's updates", NESTED, "outboxctl: lag", 2.8),
    Bound("documents that are wrong at the end of random writes", NESTED, "outboxctl: wrong at the end", 1),
    Bound("the first fill against both ends", "First fill", "F/bound", 0.85, at_least=True),
    Bound("its memory", "First fill", "memory", 150),
    Bound("1,000,000 compared, against reading alone", "Verify", "in full/bound", 3.2),
    Bound("CPU to compare 1,000,000, against reading", "Verify", "CPU, comparing/reading alone", 2.4),
    Bound("memory to compare any number of entities", "Verify", "memory", 200),
    Bound("the list of commands, exec to exit", "Pipeline", "outboxctl --help", 250),
)


@dataclass(frozen=True)
class Section:
    """What was measured: a title, a sentence about it, the figures, and how to read them (Markdown)."""

    title: str
    about: str
    figures: Sequence[BenchFigure]
    notes: str


def write_section(section: Section, flags: Mapping[str, Any], on: Mapping[str, str]) -> str:
    """Write or replace a section, with the command that measures it again; what to print."""
    stored = _stored(section, flags, on)
    sections = read()["sections"] | {brief(section.title): stored}
    (HERE / "RESULTS.json").write_text(stored_text({"machine": dict(on), "sections": sections}))
    (HERE / "RESULTS.md").write_text(page())
    return _printed(brief(section.title), stored)


def _stored(section: Section, flags: Mapping[str, Any], on: Mapping[str, str]) -> dict[str, Any]:
    """A section as RESULTS.json has it."""
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in flags.items()}
    words = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
    return {
        "command": " ".join(("python -m benchmarks", *words)),
        "given": dict(flags),
        "machine": dict(on),
        "about": section.about,
        "notes": section.notes,
        "figures": [{name: getattr(figure, name) for name in STORED} for figure in section.figures],
    }


def stored_text(everything: Mapping[str, Any]) -> str:
    """The text of RESULTS.json: a line a section, since RESULTS.md shows what has changed in it."""
    lines = (f"  {json.dumps(title)}: {json.dumps(each)}" for title, each in everything["sections"].items())
    machine, sections = json.dumps(everything["machine"]), ",\n".join(lines)
    return f'{{\n "machine": {machine},\n "sections": {{\n{sections}\n }}\n}}\n'


def read() -> dict[str, Any]:
    """RESULTS.json; no sections where there is none. Raises UsageError where it is damaged."""
    file = HERE / "RESULTS.json"
    try:
        stored = json.loads(file.read_text()) if file.exists() else {}
        return {"sections": {title: dict(section) for title, section in stored.get("sections", {}).items()}}
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{file.name} is damaged: {brief(error)}", hint="git checkout it") from error


def figures(section: Mapping[str, Any]) -> list[BenchFigure]:
    """The figures of a section of RESULTS.json."""
    return [BenchFigure(*(figure[name] for name in STORED)) for figure in section.get("figures", ())]


def page() -> str:
    """RESULTS.md, of what is stored now. Raises UsageError where that is damaged."""
    sections = read()["sections"]
    parts = (f"\n## {_safe(title)}\n\n{_body(title, section)}" for title, section in sections.items())
    return f"{INTRO}\n{markdown_table(bound_rows(sections))}\n{''.join(parts)}"


def _body(title: str, section: Mapping[str, Any]) -> str:
    return f"`{section['command']}`\n\n{_printed(title, section)}\n{section['notes'].strip()}\n"


def _printed(title: str, section: Mapping[str, Any]) -> str:
    on = ", ".join(f"{key} {value}" for key, value in section["machine"].items())
    safe = [replace(f, name=_safe(f.name), unit=_safe(f.unit)) for f in with_bounds(title, figures(section))]
    return f"{section['about']}\n\n{on}\n\n{table(safe)}\n"


def _safe(text: str) -> str:
    """One cell of a table: a name must not break it."""
    return brief(text).replace("|", "\\|")


def with_bounds(section: str, figures: Sequence[BenchFigure]) -> list[BenchFigure]:
    """The figures of a section, with those of `BOUNDS` where there is one."""
    bounds = {bound.figure: bound for bound in BOUNDS if bound.section == section}
    return [
        replace(f, bound=bounds[f.name].limit, at_least=bounds[f.name].at_least) if f.name in bounds else f
        for f in figures
    ]


def broken(section: Section) -> list[str]:
    """The figures of a section that have passed their bound."""
    return [f.name for f in with_bounds(section.title, section.figures) if f.verdict == BROKEN]


def bound_rows(sections: Mapping[str, Any]) -> list[list[str]]:
    """The table of bounds, its head first, from the sections of RESULTS.json."""
    return [HEAD, *(_row(bound, sections.get(bound.section, {})) for bound in BOUNDS)]


def _row(bound: Bound, section: Mapping[str, Any]) -> list[str]:
    for figure in with_bounds(bound.section, figures(section)):
        if figure.name == bound.figure and figure.values:
            _, median, spread, limit, verdict = figure.cells()
            return [bound.what, limit, median, spread, verdict, bound.section]
    sign = "at least" if bound.at_least else "under"
    return [bound.what, f"{sign} {bound.limit:,g}", "", "", UNKNOWN, bound.section]
