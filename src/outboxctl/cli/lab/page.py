"""The page of one lab: what it asks and expects, its settings, what it does, and how to do it by hand."""

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from outboxctl.cli import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.labs.lab import Lab
    from outboxctl.labs.model import Words

LABELS = {
    "en": ("Question", "Hypothesis", "Needs", "Settings", "What it does", "By hand", "Run it"),
    "zh": ("问题", "预期", "依赖", "参数", "过程", "手工操作", "运行"),
}


def show(lab: "type[Lab]", languages: "Sequence[str]") -> None:
    """Print it; headings are in the first of the languages. Commands are never broken over lines."""
    out = render.console()
    question, expected, needs, settings, does, by_hand, run = LABELS[languages[0]]
    number = f"{lab.number}. " if lab.number else ""
    out.print(Text(f"{number}{lab.name} ({lab.seconds:g} s)", style="bold"))
    for text in _said(lab.title, languages):
        out.print(text)
    texts = [(question, _said(lab.question, languages)), (expected, _said(lab.hypothesis, languages))]
    wishes = sorted(lab.needs | lab.wants)
    for label, lines in [*texts, *([(needs, wishes)] if wishes else [])]:
        out.print(Text(f"\n{label}", style="bold"))
        for line in lines:
            out.print(Padding(render.cell(line, 1_000), (0, 0, 0, 2)))
    out.print(Text(f"\n{does}", style="bold"))
    out.print(_phases(lab))
    exports = [f"export {name}={value}" for name, value in lab.settings.items()]
    commands = [(settings, exports), (by_hand, lab.by_hand), (run, [f"outboxctl lab run {lab.name}"])]
    for label, each in commands:
        if each:
            out.print(Text(f"\n{label}", style="bold"))
            out.print("\n".join(f"  {command}" for command in each), soft_wrap=True)


def phases(lab: "type[Lab]") -> dict[str, str]:
    """What it does in each phase, where it has something of its own to do."""
    return dict(_own_phases(lab))


def _own_phases(lab: "type[Lab]") -> "Iterator[tuple[str, str]]":
    for name in ("prepare", "steady", "inject", "observe", "undo", "recover", "check"):
        if name in vars(lab):
            yield name, (vars(lab)[name].__doc__ or "").partition("\n")[0]


def _phases(lab: "type[Lab]") -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, text in _own_phases(lab):
        grid.add_row(f"  {name}", text)
    return grid


def _said(words: "Words", languages: "Sequence[str]") -> list[str]:
    return [getattr(words, language) for language in languages]
