"""RESULTS.json, and RESULTS.md made from it: the targets, and a section for each command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import targets
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.bench.figure import BenchFigure, table

HERE = Path(__file__).parent
INTRO = """\
# Benchmark results

Generated from RESULTS.json by the commands below; do not edit. Each section can be measured again alone.

## Targets
"""


@dataclass(frozen=True)
class Section:
    """What was measured: a title, a sentence about it, the figures, and how to read them (Markdown)."""

    title: str
    about: str
    figures: Sequence[BenchFigure]
    notes: str


def command(module: str, flags: Mapping[str, Any]) -> str:
    """The command line that measures the same again."""
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in flags.items()}
    words = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
    return " ".join((f"python -m {module}", *words))


def write_section(
    section: Section, *, command: str, on: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> str:
    """Write or replace a section in both files; returns what to print.

    `flags` are the flags that `python -m benchmarks.check` needs to measure it again.
    """
    title, sections = brief(section.title), read()["sections"]
    stored = {
        "command": command,
        "given": dict(flags or {}),
        "machine": dict(on),
        "about": section.about,
        "notes": section.notes,
        "figures": [asdict(figure) for figure in targets.with_bounds(title, section.figures)],
    }
    everything = {"machine": dict(on), "sections": sections | {title: stored}}
    (HERE / "RESULTS.json").write_text(json.dumps(everything, indent=2) + "\n")
    (HERE / "RESULTS.md").write_text(markdown(everything["sections"]))
    return _printed(stored)


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
    return [BenchFigure(**figure) for figure in section.get("figures", ())]


def markdown(sections: Mapping[str, Any]) -> str:
    """The text of RESULTS.md."""
    by_title = {title: figures(section) for title, section in sections.items()}
    done = {title: section.get("given", {}).get("done", 0) for title, section in sections.items()}
    parts = (f"\n## {_safe(title)}\n\n{_body(section)}" for title, section in sections.items())
    return f"{INTRO}\n{markdown_table(targets.rows(by_title, done))}\n{''.join(parts)}"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; its first row is the head."""
    safe = [[_safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    lines = [" | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in safe]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def _body(section: Mapping[str, Any]) -> str:
    return f"```\n{section['command']}\n```\n\n{_printed(section)}\n{section['notes'].strip()}\n"


def _printed(section: Mapping[str, Any]) -> str:
    on = ", ".join(f"{key} {value}" for key, value in section["machine"].items())
    safe = [replace(f, name=_safe(f.name), unit=_safe(f.unit)) for f in figures(section)]
    return f"{section['about']}\n\n{on}\n\n{table(safe)}\n"


def _safe(text: str) -> str:
    """One cell of a table: a name must not break it."""
    return brief(text).replace("|", "\\|")
