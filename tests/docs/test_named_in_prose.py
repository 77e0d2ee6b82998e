"""Every command, option and setting that the prose of the content pages names exists."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from outboxctl.cli.app import app
from outboxctl.settings import Settings, env_names

pytestmark = pytest.mark.no_servers
DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    DOCS / "faq.md",
    DOCS / "producing.md",
    DOCS / "projections.md",
    DOCS / "tutorial.md",
    DOCS / "sizing.md",
    DOCS / "outages.md",
    DOCS / "on-call.md",
    *DOCS.glob("concepts/*.md"),
    *DOCS.glob("migrate/*.md"),
]
COMMAND = re.compile(r"`outboxctl ([^`]+)`|^outboxctl (.+)$", re.MULTILINE)
KNOWN = {name for field in Settings.model_fields for name in env_names(field)}
THEIRS = re.compile(r"^\| `OUTBOX_.*$", re.MULTILINE)  # settings of the lab's scripts, in their table


@cache
def root() -> Any:
    return typer.main.get_command(app)


def unknown(words: list[str]) -> list[str]:
    """The words that are neither commands nor options where they stand."""
    command = root()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    flags = {flag for given in command.params for flag in (*given.opts, *given.secondary_opts)}
    given = [word for word in words if word.startswith("--")]
    lost = words[:1] if hasattr(command, "commands") and words[:1] != given[:1] else []
    return lost + [word for word in given if word not in flags]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    lines = [one or other for one, other in COMMAND.findall(page.read_text())]
    words = [shlex.split(re.split(r" \||\|\||>", line)[0], comments=True) for line in lines]
    assert not [(each, lost) for each in words if (lost := unknown(list(each)))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_settings_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    text = THEIRS.sub("", text) if page.name == "from-the-lab-scripts.md" else text
    assert set(re.findall(r"\bOUTBOX_[A-Z_]+[A-Z]\b", text)) <= KNOWN
