"""RESULTS.json, and RESULTS.md made from it: the targets, and a section for each command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.figure import BenchFigure, markdown_table, table
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

HEAD = ["what", "target", "median", "spread", "verdict", "section"]
HERE = Path(__file__).parent
INTRO = """\
# Benchmark results

Generated from RESULTS.json by the commands below; do not edit. Each section can be measured again alone.

## Targets
"""


@dataclass(frozen=True)
class Target:
    """The median of `figure` in `section` must be under `bound`, or with `at_least` at or above it."""

    what: str
    section: str
    figure: str
    bound: float
    at_least: bool = False


NESTED, ENDS = "Nested documents", "Nested documents against both ends"
FOLLOW = "Follow events"
WRITERS = "Writers beside two projections"
FAN_OUT = "A million documents behind one row"
UNCHANGED = "A pass over unchanged documents"
UNUSED_LARGE = "large: UPDATE of an unused column, with/bare"
TARGETS = (
    Target("end to end against the bound B", "Pipeline", "E/B", 0.95, at_least=True),
    Target("B against the sink alone", "Pipeline", "B/S", 0.45, at_least=True),
    Target("a stream's lag when its writer ends", "Stream", "lag when the writer ends", 1),
    Target("the longest claim of a stream", "Stream", "longest claim", 100),
    Target("worker CPU an event", "Pipeline", "worker CPU", 7),
    Target("PostgreSQL CPU an event", "Pipeline", "PostgreSQL CPU", 18),
    Target("commit to acknowledged, 50/s, NOTIFY, p50", "Latency", "50/s, NOTIFY: acknowledged p50", 4),
    Target("commit to acknowledged, 50/s, NOTIFY, p99", "Latency", "50/s, NOTIFY: acknowledged p99", 15),
    Target("beside a projection in trouble, p50", "Isolation", "all, p50", 50),
    Target("beside a projection in trouble, p99", "Isolation", "all, p99", 500),
    Target("fifty quiet projections", "Isolation", "50 quiet projections, the worker", 0.1),
    Target("nested documents: rebuild against both ends", ENDS, "rebuild/bound", 0.7, at_least=True),
    Target("children updated, delivered", ENDS, "children updated/bound", 0.7, at_least=True),
    Target("categories renamed, delivered", ENDS, "categories renamed/bound", 0.5, at_least=True),
    Target("nested documents compared", ENDS, "verify", 60_000, at_least=True),
    Target("own CPU to compare one", ENDS, "verify: own CPU", 10),
    Target("20,000 follow events, expanded", FOLLOW, "expanded, few waiting", 10_000, at_least=True),
    Target("the same with 200,000 waiting", FOLLOW, "many/few", 0.9, at_least=True),
    Target("all right after their writer's end", FOLLOW, "right after the writer's end", 5),
    *(
        Target(f"{change}, {kind} table", WRITERS, f"{kind}: {change}, with/bare", bound, at_least=True)
        for kind, bound in (("plain", 0.7), ("partitioned", 0.5))
        for change in ("INSERT", "UPDATE", "DELETE")
    ),
    Target("rows of 64 kB, no document uses what changes", WRITERS, UNUSED_LARGE, 0.9, at_least=True),
    *(
        Target(f"{change} of single rows", WRITERS, f"single: {change}, with/bare", 0.9, at_least=True)
        for change in ("INSERT", "UPDATE")
    ),
    *(
        Target(f"CPU that it adds, {change}", WRITERS, f"single: {change}, PostgreSQL CPU, added", 15)
        for change in ("INSERT", "UPDATE")
    ),
    Target("a change with 1,000,000 documents", FAN_OUT, "the change's transaction", 2),
    Target("its keys, expanded", FAN_OUT, "expanded", 100_000, at_least=True),
    Target("the worker's memory meanwhile", FAN_OUT, "worker memory, last third/middle third", 1.05),
    Target("unchanged documents, looked at", UNCHANGED, "unchanged, looked at", 50_000, at_least=True),
    Target("of these sent", UNCHANGED, "unchanged, sent", 1),
    Target("a first fill beside pgsync's", NESTED, "first fill, outboxctl/pgsync", 3, at_least=True),
    Target("the first fill against both ends", "First fill", "F/bound", 0.85, at_least=True),
    Target("its memory", "First fill", "memory", 150),
    Target("updates of children", NESTED, "updates, outboxctl/pgsync", 5, at_least=True),
    Target("lag of children's updates", NESTED, "outboxctl: lag", 1),
    Target("1,000,000 compared, against reading alone", "Verify", "in full/bound", 1.25),
    Target("own CPU to compare 1,000,000 entities", "Verify", "own CPU a million", 8),
    Target("memory to compare any number of entities", "Verify", "memory", 200),
    Target("the list of commands, exec to exit", "Pipeline", "outboxctl --help", 250),
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
    return _printed(stored)


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
        "figures": [asdict(figure) for figure in with_bounds(brief(section.title), section.figures)],
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
    names = ("name", "unit", "values", "target", "at_least")
    return [BenchFigure(*(figure[name] for name in names)) for figure in section.get("figures", ())]


def page() -> str:
    """RESULTS.md, of what is stored now. Raises UsageError where that is damaged."""
    sections = read()["sections"]
    parts = (f"\n## {_safe(title)}\n\n{_body(section)}" for title, section in sections.items())
    return f"{INTRO}\n{markdown_table(target_rows(sections))}\n{''.join(parts)}"


def _body(section: Mapping[str, Any]) -> str:
    return f"`{section['command']}`\n\n{_printed(section)}\n{section['notes'].strip()}\n"


def _printed(section: Mapping[str, Any]) -> str:
    on = ", ".join(f"{key} {value}" for key, value in section["machine"].items())
    safe = [replace(f, name=_safe(f.name), unit=_safe(f.unit)) for f in figures(section)]
    return f"{section['about']}\n\n{on}\n\n{table(safe)}\n"


def _safe(text: str) -> str:
    """One cell of a table: a name must not break it."""
    return brief(text).replace("|", "\\|")


def with_bounds(section: str, figures: Sequence[BenchFigure]) -> list[BenchFigure]:
    """The figures of a section, with the bounds of `TARGETS` where there is one."""
    bounds = {target.figure: target for target in TARGETS if target.section == section}
    return [
        replace(f, target=bounds[f.name].bound, at_least=bounds[f.name].at_least) if f.name in bounds else f
        for f in figures
    ]


def target_rows(sections: Mapping[str, Any]) -> list[list[str]]:
    """The table of targets, its head first, from the sections of RESULTS.json."""
    return [HEAD, *(_row(target, sections.get(target.section, {})) for target in TARGETS)]


def _row(target: Target, section: Mapping[str, Any]) -> list[str]:
    for figure in with_bounds(target.section, figures(section)):
        if figure.name == target.figure and figure.values:
            _, median, spread, bound, verdict = figure.cells()
            return [target.what, bound, median, spread, verdict, target.section]
    sign = "at least" if target.at_least else "under"
    return [target.what, f"{sign} {target.bound:,g}", "", "", "not measured", target.section]
