"""`lab list` and `lab show`: the labs, and what each asks and does."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.labs.lab import Lab


class Lang(StrEnum):
    """The languages of the labs."""

    EN = "en"
    ZH = "zh"


Language = Annotated[Lang, typer.Option("--lang", help="Language of checks and conclusions.")]


def list_labs(
    lang: Annotated[Lang, typer.Option("--lang", help="Language of the questions.")] = Lang.EN,
    json: Json = False,
) -> None:
    """List every lab with its question; those with a number are the lab document's.

    Example: outboxctl lab list
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.labs.messages import in_language

    if json:
        rendering.emit_json({"labs": [described(lab, lang) for lab in ordered()]})
        return
    rows = [(lab.number, lab.name, lab.takes(), in_language(lab.question, lang)) for lab in ordered()]
    heads = [in_language(each, lang) for each in ("no.", "name", "takes", "question")]
    rendering.console().print(rendering.table(in_language("Labs", lang), heads, rows))


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A lab of `lab list`, or its number.")],
    lang: Annotated[Lang, typer.Option("--lang", help="Language of what it says.")] = Lang.EN,
    json: Json = False,
) -> None:
    """Show what a lab asks, expects, sets and does, and the commands that do the same by hand.

    Example: outboxctl lab show kill-and-heal --lang zh
    """
    from outboxctl.cli import rendering
    from outboxctl.cli.lab import page

    known = {lab.name: lab for lab in ordered()}
    lab = known[parse.one_of("NAME", _named(name), [*known], "lab")]
    if json:
        rendering.emit_json(described(lab, lang))
    else:
        page.show(lab, lang)


def chosen(names: "Sequence[str]") -> "list[type[Lab]]":
    """The labs of these names or numbers, each once; `all` and `core` are groups. UsageError."""
    from outboxctl.drills.labs.catalogue import CORE, LABS

    groups = {"all": LABS, "core": CORE} | {lab.name: (lab,) for lab in ordered()}
    labs = {lab for name in names for lab in groups[parse.one_of("NAME", _named(name), [*groups], "lab")]}
    return [lab for lab in LABS if lab in labs]


def ordered() -> "list[type[Lab]]":
    """All labs: the document's by number, then the others by name."""
    from outboxctl.drills.labs.catalogue import LABS

    return sorted(LABS, key=lambda lab: (lab.number or len(LABS), lab.name))


def _named(text: str) -> str:
    """The name of the document's lab of this number; any other text as it is."""
    return next((lab.name for lab in ordered() if text == str(lab.number)), text)


def described(lab: "type[Lab]", lang: str) -> dict[str, Any]:
    """A lab as JSON, its texts in one language."""
    from outboxctl.cli.lab.page import phases
    from outboxctl.drills.labs.messages import command, in_language

    return {
        "name": lab.name,
        "number": lab.number,
        **{name: in_language(getattr(lab, name), lang) for name in ("title", "question", "hypothesis")},
        "settings": dict(lab.settings),
        "real_engine": lab.real_engine,
        "seconds": lab.seconds,
        "engine_start_seconds": lab.engine_start,
        "phases": {phase: in_language(text, lang) for phase, text in phases(lab).items()},
        "by_hand": [command(line, lang) for line in lab.by_hand],
    }
