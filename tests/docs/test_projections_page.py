"""The page on projections has every key of a declaration, every command, and the errors as they are."""

import re
from pathlib import Path

import pytest
import typer

from outboxctl.cli.app import app
from outboxctl.operations.projection import declaration

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "projections.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def test_every_key_of_a_declaration_is_explained() -> None:
    part = TEXT[TEXT.index("## The declaration") : TEXT.index("Files that are named")]
    of_projection, of_follow = (ROW.findall(table) for table in part.split("And in `follow`:"))
    assert sorted(of_projection) == sorted(declaration.KEYS)
    assert sorted(of_follow) == sorted(declaration.FOLLOW_KEYS)


def test_every_command_is_named() -> None:
    group = typer.main.get_command(app).commands["projection"]  # type: ignore[attr-defined]
    assert set(re.findall(r"`outboxctl projection (\w+)", TEXT)) == set(group.commands)
