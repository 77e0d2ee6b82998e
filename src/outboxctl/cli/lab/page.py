"""The page of one lab: question, hypothesis, needs, phases, settings, and commands to do it by hand."""

import re
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.drills.labs.chinese import command, in_language
from outboxctl.drills.labs.evidence import words
from outboxctl.drills.labs.model import LabPhase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import BilingualText
    from outboxctl.settings import Settings

HEADINGS = {
    "Question": "问题",
    "Hypothesis": "预期",
    "Needs": "依赖",
    "What it does": "过程",
    "Settings": "参数",
    "By hand": "手工操作",
    "Run it": "运行",
}
BEFORE = (
    "# if you have no system for it yet:",
    'eval "$(outboxctl services up)"; OUTBOX_ENV=dev outboxctl db upgrade',
)
PORTS, LAST_PORT = re.compile(r"\b(9108|9109)\b"), 65_535  # by the defaults, in `by_hand`
LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
PHASES = ("prepare", "steady", "inject", "observe", "undo", "recover", "check")


def show(lab: "type[Lab]", languages: "Sequence[str]", commands: "Sequence[str]") -> None:
    """Print it with these `by_hand` commands, never wrapped; headings are in the first of the languages."""
    out = rendering.console()
    number = f"{lab.number}. " if lab.number else ""
    out.print(Text(f"{number}{lab.name} ({lab.takes()})", style="bold"))
    out.print("\n".join(_in_languages(lab.title, languages)))
    for label, content in _texts(lab, languages):
        _head(out, label, languages)
        out.print(content)
    for label, lines in _commands(lab, commands):
        _head(out, label, languages)
        out.print("\n".join(f"  {command(line, languages[0])}" for line in lines), soft_wrap=True)


def by_hand(lab: "type[Lab]", settings: "Settings") -> list[str]:
    """Its commands, with the host and port of the metrics in these settings; a second worker has the next."""
    at = settings.metrics_port
    ports = {"9108": str(at), "9109": str(at + 1 if at < LAST_PORT else at - 1)}
    named = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    host = "localhost" if settings.metrics_host in LOCAL else named
    lines = (PORTS.sub(lambda match: ports[match[0]], line) for line in lab.by_hand)
    return [line.replace("localhost:", f"{host}:") for line in lines]


def phases(lab: "type[Lab]") -> dict[str, str]:
    """What it does in each phase that it overrides, or that the labs like it do."""
    from outboxctl.drills.labs.lab import Lab

    own = [name for name in PHASES if getattr(lab, name) is not getattr(Lab, name)]
    return {name: (getattr(lab, name).__doc__ or "").partition("\n")[0] for name in own}


def _texts(lab: "type[Lab]", languages: "Sequence[str]") -> "Iterator[tuple[str, RenderableType]]":
    yield "Question", _lines(_in_languages(lab.question, languages))
    yield "Hypothesis", _lines(_in_languages(lab.hypothesis, languages))
    first = languages[0]
    if needs := sorted(lab.needs | lab.wants):
        yield "Needs", _lines([in_language(need, first) for need in needs])
    grid = Table.grid(padding=(0, 2))
    for name, text in phases(lab).items():
        grid.add_row(getattr(words.PHASES[LabPhase[name.upper()]], first), in_language(text, first))
    yield "What it does", _indented(grid)


def _commands(lab: "type[Lab]", by_hand: "Sequence[str]") -> "Iterator[tuple[str, Sequence[str]]]":
    if lab.settings:
        yield "Settings", [f"export {name}={quote(value)}" for name, value in lab.settings.items()]
    if by_hand:
        yield "By hand", [*BEFORE, *by_hand]
    yield "Run it", [f"outboxctl lab run {lab.name}"]


def _head(out: "Console", label: str, languages: "Sequence[str]") -> None:
    out.print(Text(f"\n{label if languages[0] == 'en' else HEADINGS[label]}", style="bold"))


def _lines(texts: "Sequence[str]") -> Group:
    return Group(*(_indented(Text(text)) for text in texts))


def _indented(content: "RenderableType") -> Padding:
    """Two columns in; not filled up to the width, which a pipe's reader would see as empty lines."""
    return Padding(content, (0, 0, 0, 2), expand=False)


def _in_languages(text: "BilingualText", languages: "Sequence[str]") -> list[str]:
    return [getattr(text, language) for language in languages]
