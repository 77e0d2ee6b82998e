"""`lab list`: the labs, what each asks, and how to do it by hand."""

from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.drills.labs.lab import Lab

BEFORE = (
    "# if you have no system for it yet:",
    'eval "$(outboxctl services up)"; OUTBOX_ENV=dev outboxctl db upgrade',
)


class Lang(StrEnum):
    """The languages of the labs."""

    EN = "en"
    ZH = "zh"


Language = Annotated[Lang, typer.Option("--lang", help="Language of what the labs say.")]


def list_labs(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One lab, or its number: its whole page.")
    ] = None,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """List every lab with its question; those with a number are the lab document's.

    With NAME show what that lab asks, expects and sets, and the commands that do the same by hand.

    Example: outboxctl lab list

    Example: outboxctl lab list kill-and-heal --lang zh
    """
    from outboxctl.drills.labs.messages import in_language

    labs = ordered() if name is None else chosen([name])
    if json:
        rendering.emit_json({"labs": [_described(lab, lang) for lab in labs]})
    elif name is None:
        rows = [(lab.number, lab.name, lab.takes(), in_language(lab.question, lang)) for lab in labs]
        heads = [in_language(each, lang) for each in ("no.", "name", "takes", "question")]
        rendering.console().print(rendering.table(in_language("Labs", lang), heads, rows))
    else:
        for lab in labs:
            _show(lab, lang)


def chosen(names: "Sequence[str]") -> "list[type[Lab]]":
    """The labs of these names or numbers, each once; `all` and `core` are groups. UsageError."""
    from outboxctl.drills.labs.catalogue import CORE, LABS

    numbers = {str(lab.number): lab.name for lab in CORE}
    groups = {"all": LABS, "core": CORE} | {lab.name: (lab,) for lab in ordered()}
    words = [parse.one_of("NAME", numbers.get(name, name), [*groups], "lab") for name in names]
    labs = {lab for word in words for lab in groups[word]}
    return [lab for lab in LABS if lab in labs]


def ordered() -> "list[type[Lab]]":
    """All labs: the document's by number, then the others by name."""
    from outboxctl.drills.labs.catalogue import LABS

    return sorted(LABS, key=lambda lab: (lab.number or len(LABS), lab.name))


def _described(lab: "type[Lab]", lang: str) -> dict[str, Any]:
    """A lab as JSON, its texts in one language."""
    from outboxctl.drills.labs.messages import command, in_language

    return {
        "name": lab.name,
        "number": lab.number,
        **{name: in_language(getattr(lab, name), lang) for name in ("title", "question", "hypothesis")},
        "settings": dict(lab.settings),
        "real_engine": lab.real_engine,
        "seconds": lab.seconds,
        "engine_start_seconds": lab.engine_start,
        "by_hand": [command(line, lang) for line in lab.by_hand],
    }


def _show(lab: "type[Lab]", lang: str) -> None:
    """Print its page; commands are never wrapped."""
    from rich.padding import Padding
    from rich.text import Text

    from outboxctl.drills.labs.messages import command, in_language

    out = rendering.console()
    number = f"{lab.number}. " if lab.number else ""
    out.print(Text(f"{number}{lab.name} ({lab.takes()})", style="bold"))
    out.print(in_language(lab.title, lang))
    needs = ("Needs", "a real search engine") if lab.real_engine else None
    for label, text in filter(None, (("Question", lab.question), ("Hypothesis", lab.hypothesis), needs)):
        out.print(Text(f"\n{in_language(label, lang)}", style="bold"))
        out.print(Padding(Text(in_language(text, lang)), (0, 0, 0, 2), expand=False))
    for label, lines in _commands(lab):
        out.print(Text(f"\n{in_language(label, lang)}", style="bold"))
        out.print("\n".join(f"  {command(line, lang)}" for line in lines), soft_wrap=True)


def _commands(lab: "type[Lab]") -> "Iterator[tuple[str, Sequence[str]]]":
    if lab.settings:
        yield "Settings", [f"export {name}={quote(value)}" for name, value in lab.settings.items()]
    yield "By hand", [*BEFORE, *lab.by_hand]
    yield "Run it", [f"outboxctl lab run {lab.name}"]
