"""`lab list`: the labs, what each asks, and how to do it by hand."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.drills.labs.lab import Lab

Phrase = Callable[[str], str]  # a message in the language that was asked for
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
    say = partial(in_language, language=lang)

    def lines() -> "Iterator[Any]":
        if name is None:
            rows = [(lab.number, lab.name, f"{lab.seconds:g} s", say(lab.question)) for lab in labs]
            heads = [say(each) for each in ("no.", "name", "takes", "question")]
            yield rendering.table(say("Labs"), heads, rows)
        else:
            for lab in labs:
                yield from _page(lab, say, lang)

    rendering.show({"labs": [_described(lab, say, lang) for lab in labs]}, lines, json=json)


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


def _described(lab: "type[Lab]", say: Phrase, lang: str) -> dict[str, Any]:
    """A lab as JSON, its texts in one language."""
    from outboxctl.drills.labs.messages import command

    return {
        "name": lab.name,
        "number": lab.number,
        **{name: say(getattr(lab, name)) for name in ("title", "question", "hypothesis")},
        "settings": dict(lab.settings),
        "real_engine": lab.real_engine,
        "seconds": lab.seconds,
        "by_hand": [command(line, lang) for line in lab.by_hand],
    }


def _page(lab: "type[Lab]", say: Phrase, lang: str) -> "Iterator[Any]":
    """Its page; commands are never wrapped."""
    from rich.text import Text

    from outboxctl.drills.labs.messages import command

    texts = {"Question": lab.question, "Hypothesis": lab.hypothesis}
    texts |= {"Needs": "a real search engine"} if lab.real_engine else {}
    exports = [f"export {name}={quote(value)}" for name, value in lab.settings.items()]
    commands = {"Settings": exports} if exports else {}
    commands |= {"By hand": [*BEFORE, *lab.by_hand], "Run it": [f"outboxctl lab run {lab.name}"]}
    number = f"{lab.number}. " if lab.number else ""
    yield Text(f"{number}{lab.name} ({lab.seconds:g} s)", style="bold")
    yield say(lab.title)
    for label, text in texts.items():
        yield Text(f"\n{say(label)}", style="bold")
        yield rendering.Item(say(text))
    for label, lines in commands.items():
        yield Text(f"\n{say(label)}", style="bold")
        yield rendering.Unbroken("\n".join(f"  {command(line, lang)}" for line in lines))
