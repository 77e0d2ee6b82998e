"""`lab list` and `lab show`: what there is, and what a lab asks and does."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.labs.lab import Lab

ALL, CORE = "all", "core"


class Lang(StrEnum):
    """The languages of the labs."""

    EN = "en"
    ZH = "zh"


def list_labs(json: Json = False) -> None:
    """List every lab with its question.

    Example: outboxctl lab list
    """
    from outboxctl.cli import render
    from outboxctl.labs.catalogue import LABS

    ordered = sorted(LABS, key=lambda lab: (lab.number or len(LABS), lab.name))
    if json:
        render.emit_json({"labs": [described(lab) for lab in ordered]})
        return
    rows = [(lab.number, lab.name, f"{lab.seconds:g} s", lab.question.en) for lab in ordered]
    render.console().print(render.table("Labs", ("no.", "name", "takes", "question"), rows))


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A lab of `outboxctl lab list`.")],
    json: Json = False,
) -> None:
    """Show what a lab asks, expects, sets and does, in English and Chinese.

    Example: outboxctl lab show kill-and-heal
    """
    from outboxctl.cli import render

    (lab,) = chosen([name])
    if json:
        render.emit_json(described(lab))
        return
    for words in (lab.title, lab.question, lab.hypothesis):
        typer.echo(f"{words.en}\n{words.zh}\n")
    for setting, value in lab.settings.items():
        typer.echo(f"export {setting}={value}")
    typer.echo("\nBy hand:")
    for line in lab.by_hand:
        typer.echo(f"  {line}")


def chosen(names: "Sequence[str]") -> "list[type[Lab]]":
    """The labs of these names, each once; `all` and `core` are groups. UsageError for an unknown one."""
    from outboxctl.labs.catalogue import CORE as CORE_LABS
    from outboxctl.labs.catalogue import LABS

    groups = {ALL: LABS, CORE: CORE_LABS} | {lab.name: (lab,) for lab in LABS}
    wanted = {lab for name in names for lab in groups[parse.one_of("NAME", name, [*groups], "lab")]}
    return [lab for lab in LABS if lab in wanted]


def described(lab: "type[Lab]") -> dict[str, Any]:
    """A lab as JSON."""
    from dataclasses import asdict

    texts = {name: asdict(getattr(lab, name)) for name in ("title", "question", "hypothesis")}
    return {
        "name": lab.name,
        "number": lab.number,
        **texts,
        "settings": dict(lab.settings),
        "needs": sorted(lab.needs),
        "seconds": lab.seconds,
        "by_hand": list(lab.by_hand),
    }
