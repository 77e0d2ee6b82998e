"""What each lab says of itself: commands that exist, in the language that was asked for."""

import shlex
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from outboxctl.cli.app import app
from outboxctl.drills.labs.catalogue import LABS

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_what_is_done_by_hand_can_be_done(lab: "type[Lab]") -> None:
    for words in (words for line in lab.by_hand for words in _commands(line)):
        if words[:1] == ["outboxctl"]:
            _parse(typer.main.get_command(app), words[1:])


def _commands(line: str) -> Iterator[list[str]]:
    """A line's commands, which `&`, `;` and `|` part."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for between, command in groupby(words, key=lambda word: set(word) <= set("&;|<>")):
        if not between:
            yield list(command)


def _parse(command: Any, words: list[str]) -> None:
    """Raise a usage error for what the command line does not know; nothing is run."""
    children = getattr(command, "commands", {})
    if words and words[0] in children:
        _parse(children[words[0]], words[1:])
    else:
        assert not children or command.invoke_without_command, f"no such command: {words}"
        command.make_context(command.name, words)


@pytest.mark.parametrize(("lang", "english", "chinese"), [("en", 1, 0), ("zh", 0, 1)])
def test_its_page_is_in_the_language_that_was_asked_for(lang: str, english: int, chinese: int) -> None:
    said = CliRunner().invoke(app, ["lab", "list", "daemon", "--lang", lang]).output
    assert said.count("A daemon: stopping, health, alerts") == english
    assert said.count("daemon 运行时工程化（v4）") == chinese
    assert "outboxctl lab run daemon" in said
