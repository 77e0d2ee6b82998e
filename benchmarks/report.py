"""RESULTS.json, and RESULTS.md made of it: what each command measured, and every target of the issue."""

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

Made whole from RESULTS.json by the commands below; do not edit. Each section can be measured again alone.

## Targets
"""


@dataclass(frozen=True)
class Section:
    """What a profile found: a title, a sentence on what was measured, the figures, and how to read them."""

    title: str
    about: str
    figures: Sequence[BenchFigure]
    notes: str


def command(module: str, given: Mapping[str, Any]) -> str:
    """What to type for the same again."""
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in given.items()}
    flags = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
    return " ".join((f"python -m {module}", *flags))


def write_section(
    title: str,
    *,
    command: str,
    about: str,
    on: Mapping[str, str],
    figures: Sequence[BenchFigure],
    notes: str,
    given: Mapping[str, Any] | None = None,
) -> str:
    """Write a section, or write it again, and leave the rest; returns what is to be printed."""
    results, title = read(), brief(title)
    section = {
        "command": command,
        "given": dict(given or {}),
        "machine": dict(on),
        "about": about,
        "notes": notes,
        "figures": [asdict(figure) for figure in targets.aimed(title, figures)],
    }
    everything = {"machine": dict(on), "sections": results["sections"] | {title: section}}
    (HERE / "RESULTS.json").write_text(json.dumps(everything, indent=2) + "\n")
    (HERE / "RESULTS.md").write_text(markdown(everything["sections"]))
    return _printed(section)


def read() -> dict[str, Any]:
    """RESULTS.json; no sections where there is none. Raises UsageError where it is damaged."""
    file = HERE / "RESULTS.json"
    try:
        found = json.loads(file.read_text()) if file.exists() else {}
        return {"sections": {title: dict(section) for title, section in found.get("sections", {}).items()}}
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{file.name} is damaged: {brief(error)}", hint="git checkout it") from error


def figures(section: Mapping[str, Any]) -> list[BenchFigure]:
    """The figures of a section of RESULTS.json."""
    return [BenchFigure(**figure) for figure in section.get("figures", ())]


def markdown(sections: Mapping[str, Any]) -> str:
    """RESULTS.md: the targets, then a section a command."""
    found = {title: figures(section) for title, section in sections.items()}
    done = {title: section.get("given", {}).get("done", 0) for title, section in sections.items()}
    parts = (f"\n## {_safe(title)}\n\n{_body(section)}" for title, section in sections.items())
    return f"{INTRO}\n{lined(targets.rows(found, done))}\n{''.join(parts)}"


def lined(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is also readable as it is; its first row is the head."""
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
