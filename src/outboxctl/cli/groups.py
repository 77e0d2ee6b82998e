"""Commands that have commands."""

from typing import Any

import typer
from typer.core import TyperGroup

LONGEST = 1_000  # characters of a command's first sentence: all of it


class FullHelpGroup(TyperGroup):
    """Tells in its help what each command does to the end, folded: half a sentence says nothing."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer gives both
        """Write a line or more for each command, in the order in which they were added."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(LONGEST)) for name, each in self.commands.items()]
            )


def group(text: str, **more: Any) -> typer.Typer:
    """An empty group that shows its help where no command is given; `more` goes to typer."""
    return typer.Typer(cls=FullHelpGroup, help=text, no_args_is_help=True, **more)
