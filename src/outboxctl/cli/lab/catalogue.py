"""`lab list` and `lab show`: the labs, and what each asks and does."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import Json, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.labs.lab import Lab


class Lang(StrEnum):
    """The languages of the labs."""

    EN = "en"
    ZH = "zh"


class Languages(StrEnum):
    """One of them, or both below each other."""

    EN = "en"
    ZH = "zh"
    BOTH = "both"


Language = Annotated[Lang, typer.Option("--lang", help="Language of checks and conclusions.")]
HEADS = {
    "en": ("Labs", ("no.", "name", "takes", "question")),
    "zh": ("实验", ("编号", "名称", "用时", "问题")),
}


def list_labs(
    lang: Annotated[Lang, typer.Option("--lang", help="Language of the questions.")] = Lang.EN,
    json: Json = False,
) -> None:
    """List every lab with its question; those with a number are the lab document's.

    Example: outboxctl lab list
    """
    from outboxctl.cli import rendering

    labs = ordered()
    if json:
        rendering.emit_json({"labs": [described(lab) for lab in labs]})
        return
    rows = [(lab.number, lab.name, lab.takes(), getattr(lab.question, lang)) for lab in labs]
    rendering.console().print(rendering.table(*HEADS[lang], rows))


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A lab of `lab list`, or its number.")],
    lang: Annotated[
        Languages, typer.Option("--lang", help="Language of what it asks and expects.")
    ] = Languages.BOTH,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port", help="The worker's port [env: OUTBOX_METRICS_PORT].", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a lab asks, expects, sets and does, and the commands that do the same by hand.

    Example: outboxctl lab show kill-and-heal --lang zh
    """
    from outboxctl.cli import rendering
    from outboxctl.cli.lab import page

    known = {lab.name: lab for lab in ordered()}
    lab = known[parse.one_of("NAME", _named(name), [*known], "lab")]
    commands = page.by_hand(lab, settings(metrics_port=metrics_port))
    if json:
        rendering.emit_json(described(lab) | {"by_hand": commands})
    else:
        page.show(lab, list(Lang) if lang is Languages.BOTH else [lang], commands)


def chosen(names: "Sequence[str]") -> "list[type[Lab]]":
    """The labs of these names or numbers, each once; `all`, `core` and `cluster` are groups. UsageError."""
    from outboxctl.drills.labs.catalogue import ALL, CLUSTER, CORE, LABS

    groups = {"all": ALL, "core": CORE, "cluster": CLUSTER} | {lab.name: (lab,) for lab in ordered()}
    labs = {lab for name in names for lab in groups[parse.one_of("NAME", _named(name), [*groups], "lab")]}
    return [lab for lab in LABS if lab in labs]


def ordered() -> "list[type[Lab]]":
    """All labs: the document's by number, then the others by name."""
    from outboxctl.drills.labs.catalogue import LABS

    return sorted(LABS, key=lambda lab: (lab.number or len(LABS), lab.name))


def _named(text: str) -> str:
    """The name of the document's lab of this number; any other text as it is."""
    return next((lab.name for lab in ordered() if text == str(lab.number)), text)


def described(lab: "type[Lab]") -> dict[str, Any]:
    """A lab as JSON."""
    from dataclasses import asdict

    from outboxctl.cli.lab.page import phases

    texts = {name: asdict(getattr(lab, name)) for name in ("title", "question", "hypothesis")}
    return {
        "name": lab.name,
        "number": lab.number,
        **texts,
        "settings": dict(lab.settings),
        "needs": sorted(lab.needs),
        "wants": sorted(lab.wants),
        "seconds": lab.seconds,
        "engine_start_seconds": lab.engine_start,
        "phases": phases(lab),
        "by_hand": list(lab.by_hand),
    }
