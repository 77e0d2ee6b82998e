"""A reader that leaves (`| head`) is no error, whatever wrote to it."""

import os
import sys

import pytest
import typer

from outboxctl import cli
from outboxctl.cli import app as commands

pytestmark = pytest.mark.no_servers


def test_a_command_that_writes_again_after_its_reader_has_gone_ends_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = typer.Typer()

    @app.command()
    def talk() -> None:
        typer.echo("one")
        typer.echo("two")

    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(commands, "app", app)
    monkeypatch.setattr(sys, "argv", ["outboxctl"])
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 0
