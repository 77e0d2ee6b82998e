"""Options that several chaos commands share."""

from typing import Annotated

import typer

For = Annotated[
    str | None,
    typer.Option("--for", help="Undo it by itself after this long: 30s, 5m.", show_default=False),
]
Sure = Annotated[
    bool,
    typer.Option("--yes-this-is-not-production", help="Database and sink may be on other machines."),
]


def seconds(lasts: str | None) -> float | None:
    """The seconds of `--for`, None where it was not given. UsageError."""
    from outboxctl.cli import parse

    return None if lasts is None else parse.duration("--for", lasts).total_seconds()
