"""A person reads the list of commands at night, on 80 columns: no sentence ends in the middle."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from outboxctl.cli.app import app

pytestmark = pytest.mark.no_servers


def groups(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command that has commands."""
    if commands := getattr(command, "commands", None):
        yield path
        for name, each in commands.items():
            yield from groups(each, (*path, name))


@pytest.mark.parametrize("path", list(groups(typer.main.get_command(app))), ids=" ".join)
def test_each_command_is_told_to_the_end(path: tuple[str, ...]) -> None:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    said = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}, catch_exceptions=False).output
    shown = "".join(re.findall(r"\w+", said))
    for each in command.commands.values():
        first = each.help.partition("\n\n")[0]
        assert "".join(re.findall(r"\w+", first)) in shown
