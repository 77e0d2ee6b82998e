"""`explain`: what a reason, metric, alert, finding or setting means, and what to do first."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.options import Json

if TYPE_CHECKING:
    from outboxctl.operations.explain import Word, WordKind


def explain(
    word: Annotated[
        str | None,
        typer.Argument(help="A word of an error, a log, a finding, an alert."),
    ] = None,
    json: Json = False,
) -> None:
    """Explain a failure reason, no-op, metric, alert, finding of doctor, or setting.

    Without a word, list all.

    It reads neither the database nor the search engine. Of an alert it prints the section of the runbook.

    Example: outboxctl explain index_unavailable

    Example: outboxctl explain OutboxStuck
    """
    from outboxctl.operations.explain import find, names

    if word is None:
        known = names()
        rendering.show({"words": known}, lambda: _all(known), json=json)
        return
    found = find(word)
    rendering.show({"word": asdict(found)}, lambda: _one(found), json=json)


def _all(known: "dict[WordKind, list[str]]") -> Iterator[object]:
    for kind, names in known.items():
        yield f"{kind}: {', '.join(names)}"
        yield ""
    yield rendering.Unbroken("outboxctl explain WORD says what one of them means.")


def _one(word: "Word") -> Iterator[object]:
    from rich.text import Text

    yield Text.assemble((word.name, "bold"), f"  ({word.kind})")
    yield ""
    yield word.meaning
    yield from (rendering.Item(f"{name}: {value}") for name, value in word.facts.items())
    if word.first and word.kind != "alert":
        yield f"\nFirst: {word.first}"
    yield rendering.Unbroken(f"\n{word.docs}")
