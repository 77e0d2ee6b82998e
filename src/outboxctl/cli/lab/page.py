"""The page of one lab: what it asks and expects, its settings, what it does, and how to do it by hand."""

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
PORTS, LAST_PORT = re.compile(r"\b(9108|9109)\b"), 65_535  # by the defaults, in `by_hand`
EVERYWHERE = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
PHASES = ("prepare", "steady", "inject", "observe", "undo", "recover", "check")


def show(lab: "type[Lab]", languages: "Sequence[str]", commands: "Sequence[str]") -> None:
    """Print it; headings are in the first of the languages. Commands are never broken over lines.

    `commands` are those of `by_hand`.
    """
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
    """Its commands, at the address where a worker with these settings serves its metrics.

    A second worker's port is the next one.
    """
    at = settings.metrics_port
    ports = {"9108": str(at), "9109": str(at + 1 if at < LAST_PORT else at - 1)}
    named = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    host = "localhost" if settings.metrics_host in EVERYWHERE else named
    lines = (PORTS.sub(lambda found: ports[found[0]], line) for line in lab.by_hand)
    return [line.replace("localhost:", f"{host}:") for line in lines]


def phases(lab: "type[Lab]") -> dict[str, str]:
    """What it does in each phase, where it has something of its own to do."""
    own = {name: vars(lab)[name].__doc__ or "" for name in PHASES if name in vars(lab)}
    return {name: text.partition("\n")[0] for name, text in own.items()}


def _texts(lab: "type[Lab]", languages: "Sequence[str]") -> "Iterator[tuple[str, RenderableType]]":
    yield QUESTION, _lines(_in_languages(lab.question, languages))
    yield EXPECTED, _lines(_in_languages(lab.hypothesis, languages))
    first = languages[0]
    if wishes := sorted(lab.needs | lab.wants):
        yield NEEDS, _lines([in_language(wish, first) for wish in wishes])
    grid = Table.grid(padding=(0, 2))
    for name, text in phases(lab).items():
        grid.add_row(getattr(words.PHASES[LabPhase[name.upper()]], first), in_language(text, first))
    yield DOES, _indented(grid)


def _commands(lab: "type[Lab]", by_hand: "Sequence[str]") -> "Iterator[tuple[str, Sequence[str]]]":
    if lab.settings:
        yield SETTINGS, [f"export {name}={quote(value)}" for name, value in lab.settings.items()]
    if by_hand:
        yield BY_HAND, [*BEFORE, *by_hand]
    yield RUN, [f"outboxctl lab run {lab.name}"]


def _head(out: "Console", label: str, languages: "Sequence[str]") -> None:
    out.print(Text(f"\n{label if languages[0] == 'en' else IN_CHINESE[label]}", style="bold"))


def _lines(texts: "Sequence[str]") -> Group:
    return Group(*(_indented(Text(text)) for text in texts))


def _indented(content: "RenderableType") -> Padding:
    """Two columns in; not filled up to the width, which a pipe's reader would see as empty lines."""
    return Padding(content, (0, 0, 0, 2), expand=False)


def _in_languages(text: "BilingualText", languages: "Sequence[str]") -> list[str]:
    return [getattr(text, language) for language in languages]
