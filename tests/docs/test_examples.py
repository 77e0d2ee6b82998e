"""The examples of `--help`, as reference/commands.md has them: each is understood, the reading ones run."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from tools.reference import pages

from docs.blocks import ROOT, Block, blocks
from docs.shell import Shell
from operations import every_command
from outboxctl.cli.app import app

NAME = "reference/commands.md"
PAGE = ROOT / "docs" / NAME
EXAMPLES = [block for block in blocks(PAGE, pages()[NAME]) if block.runs]
OPERATORS = {"|", "||", ">", "&&", ";"}


def calls(text: str) -> list[list[str]]:
    """The words of each call of outboxctl in lines of shell."""
    return [call for line in text.splitlines() for call in _calls(line)]


def _calls(line: str) -> list[list[str]]:
    words = shlex.split(line.replace("${DATABASE_URL/+psycopg/}", "URL"))
    starts = [at for at, word in enumerate(words) if word == "outboxctl"]
    ends = [at for at, word in enumerate(words) if word in OPERATORS] + [len(words)]
    return [words[start + 1 : min(end for end in ends if end > start)] for start in starts]


def understood(words: list[str]) -> str:
    """The command's name; UsageError where its options and values are not as it takes them."""
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]
        path.append(words.pop(0))
    command.make_context(path[-1], words)
    return " ".join(path)


def reads(words: list[str]) -> bool:
    """Whether it changes nothing: a reading command, or one that rehearses."""
    arguments = every_command.READING.get(understood([*words]))
    return arguments is not None and ("--dry-run" in words or "--dry-run" not in arguments)


@pytest.mark.no_servers
@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.text.strip())
def test_an_example_is_understood(block: Block) -> None:
    assert calls(block.text)
    for words in calls(block.text):
        assert understood(words)


@pytest.fixture
def page() -> Path:
    return PAGE


@pytest.mark.slow(reason="runs each example in a process of its own")
def test_examples_that_read_run(shell: Shell) -> None:
    for block in EXAMPLES:
        if all(map(reads, calls(block.text))):
            shell.run(replace(block, info="stop" if "--watch" in block.text else "exit=4"))
