"""The page of one lab: question, hypothesis, phases, settings, and commands to do it by hand."""

from shlex import quote
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.messages import command, in_language
from outboxctl.drills.labs.model import LabPhase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

BEFORE = (
    "# if you have no system for it yet:",
    'eval "$(outboxctl services up)"; OUTBOX_ENV=dev outboxctl db upgrade',
)
PHASES = ("prepare", "steady", "inject", "observe", "undo", "recover", "check")


def show(lab: type[Lab], lang: str) -> None:
    """Print it, commands never wrapped."""
    out = rendering.console()
    number = f"{lab.number}. " if lab.number else ""
    out.print(Text(f"{number}{lab.name} ({lab.takes()})", style="bold"))
    out.print(in_language(lab.title, lang))
    for label, content in _texts(lab, lang):
        out.print(Text(f"\n{in_language(label, lang)}", style="bold"))
        out.print(Padding(content, (0, 0, 0, 2), expand=False))  # not filled up to the width
    for label, lines in _commands(lab):
        out.print(Text(f"\n{in_language(label, lang)}", style="bold"))
        out.print("\n".join(f"  {command(line, lang)}" for line in lines), soft_wrap=True)


def phases(lab: type[Lab]) -> dict[str, str]:
    """What it does in each phase that it overrides."""
    own = [name for name in PHASES if getattr(lab, name) is not getattr(Lab, name)]
    return {name: (getattr(lab, name).__doc__ or "").partition("\n")[0] for name in own}


def _texts(lab: type[Lab], lang: str) -> "Iterator[tuple[str, RenderableType]]":
    yield "Question", Text(in_language(lab.question, lang))
    yield "Hypothesis", Text(in_language(lab.hypothesis, lang))
    if lab.real_engine:
        yield "Needs", Text(in_language("a real search engine", lang))
    grid = Table.grid(padding=(0, 2))
    for name, text in phases(lab).items():
        grid.add_row(in_language(LabPhase[name.upper()], lang), in_language(text, lang))
    yield "What it does", grid


def _commands(lab: type[Lab]) -> "Iterator[tuple[str, Sequence[str]]]":
    if lab.settings:
        yield "Settings", [f"export {name}={quote(value)}" for name, value in lab.settings.items()]
    yield "By hand", [*BEFORE, *lab.by_hand]
    yield "Run it", [f"outboxctl lab run {lab.name}"]
