"""The page of one lab: what it asks and expects, its settings, what it does, and how to do it by hand."""

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from outboxctl.cli import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from outboxctl.labs.lab import Lab
    from outboxctl.labs.model import Words

QUESTION, EXPECTED, NEEDS, DOES = "Question", "Hypothesis", "Needs", "What it does"
SETTINGS, BY_HAND, RUN = "Settings", "By hand", "Run it"
IN_CHINESE = {
    QUESTION: "问题",
    EXPECTED: "预期",
    NEEDS: "依赖",
    DOES: "过程",
    SETTINGS: "参数",
    BY_HAND: "手工操作",
    RUN: "运行",
}
BEFORE = (
    "# if you have no system for it yet:",
    'eval "$(outboxctl services up)"; OUTBOX_ENV=dev outboxctl db upgrade',
)
PHASES = ("prepare", "steady", "inject", "observe", "undo", "recover", "check")


def show(lab: "type[Lab]", languages: "Sequence[str]") -> None:
    """Print it; headings are in the first of the languages. Commands are never broken over lines."""
    out = render.console()
    number = f"{lab.number}. " if lab.number else ""
    out.print(Text(f"{number}{lab.name} ({lab.seconds:g} s)", style="bold"))
    out.print("\n".join(_said(lab.title, languages)))
    for label, content in _texts(lab, languages):
        _head(out, label, languages)
        out.print(content)
    for label, commands in _commands(lab):
        _head(out, label, languages)
        out.print("\n".join(f"  {command}" for command in commands), soft_wrap=True)


def phases(lab: "type[Lab]") -> dict[str, str]:
    """What it does in each phase, where it has something of its own to do."""
    own = {name: vars(lab)[name].__doc__ or "" for name in PHASES if name in vars(lab)}
    return {name: text.partition("\n")[0] for name, text in own.items()}


def _texts(lab: "type[Lab]", languages: "Sequence[str]") -> "Iterator[tuple[str, RenderableType]]":
    yield QUESTION, _lines(_said(lab.question, languages))
    yield EXPECTED, _lines(_said(lab.hypothesis, languages))
    if wishes := sorted(lab.needs | lab.wants):
        yield NEEDS, _lines(wishes)
    grid = Table.grid(padding=(0, 2))
    for name, text in phases(lab).items():
        grid.add_row(name, text)
    yield DOES, _indented(grid)


def _commands(lab: "type[Lab]") -> "Iterator[tuple[str, Sequence[str]]]":
    if lab.settings:
        yield SETTINGS, [f"export {name}={value}" for name, value in lab.settings.items()]
    if lab.by_hand:
        yield BY_HAND, [*BEFORE, *lab.by_hand]
    yield RUN, [f"outboxctl lab run {lab.name}"]


def _head(out: "Console", label: str, languages: "Sequence[str]") -> None:
    out.print(Text(f"\n{label if languages[0] == 'en' else IN_CHINESE[label]}", style="bold"))


def _lines(texts: "Sequence[str]") -> Group:
    return Group(*(_indented(Text(text)) for text in texts))


def _indented(content: "RenderableType") -> Padding:
    """Two columns in; not filled up to the width, which a pipe's reader would see as empty lines."""
    return Padding(content, (0, 0, 0, 2), expand=False)


def _said(words: "Words", languages: "Sequence[str]") -> list[str]:
    return [getattr(words, language) for language in languages]
