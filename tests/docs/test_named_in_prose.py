"""Every command, option and setting that a page names exists; decisions may name what is gone.

The examples of `--help`, as reference/commands.md has them, are understood as a whole.
"""

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from tools.reference import pages

from docs.blocks import PAGES, ROOT, Block, blocks, name
from outboxctl.cli.app import app
from outboxctl.settings import all_names
from outboxctl.settings.loading import LINK

pytestmark = pytest.mark.no_servers
REFERENCE = ROOT / "docs/reference/commands.md"
OPERATORS = {"|", "||", ">", "&&", ";", "outboxctl"}
NOT_OURS = {"CHANGELOG.md", "from-the-lab-scripts.md"}
TODAYS = [page for page in PAGES if "adr" not in page.parts and page.name not in NOT_OURS]
INLINE = re.compile(r"`outboxctl ([^`]+)`")
IN_BLOCK = re.compile(r"^ *(?:\$ )?outboxctl (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^( *)```(?:bash|console).*?^\1```$", re.MULTILINE | re.DOTALL)
# Examples of names that are none.
NO_SETTING = re.compile(r"OUTBOX_(USE_ES_BULK|BULK_SIZES|MAX_ATTEMPT|PORT)?")


def command_of(words: list[str]) -> tuple[Any, list[str], list[str]]:
    """The command that words name, those words, and the rest."""
    command: Any = typer.main.get_command(app)
    rest = [*words]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command, words[: len(words) - len(rest)], rest


def unknown(text: str) -> list[str]:
    """The words of a command's line that are neither commands nor options where they stand."""
    words = shlex.split(re.split(r" \||\|\||>", text)[0], comments=True)
    command, _, rest = command_of(words)
    flags = {flag for given in command.params for flag in (*given.opts, *given.secondary_opts)} | {"--help"}
    given = [word.partition("=")[0] for word in rest if word.startswith("--")]
    lost = [each for each in rest[:1] if hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", each)]
    return lost + [flag for flag in given if flag not in flags]


@pytest.mark.parametrize("page", TODAYS, ids=name)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    lines = INLINE.findall(text) + [
        line for block in BLOCK.finditer(text) for line in IN_BLOCK.findall(block[0])
    ]
    assert not [(line, lost) for line in lines if (lost := unknown(line))]


@pytest.mark.parametrize("file", sorted((ROOT / "docs/labs/ci").glob("*.yml")), ids=name)
def test_the_command_of_an_example_for_ci_exists(file: Path) -> None:
    (line,) = re.findall(r"outboxctl (lab run .+)$", file.read_text(), re.MULTILINE)
    assert not unknown(line)


@pytest.mark.parametrize("page", TODAYS, ids=name)
def test_the_settings_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"\bOUTBOX_[A-Z_]+[A-Z]\b", page.read_text()))
    assert not {
        each for each in named - all_names() if not (LINK.fullmatch(each) or NO_SETTING.fullmatch(each))
    }


EXAMPLES = [each for each in blocks(REFERENCE, pages()["reference/commands.md"]) if each.runs]


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.text.strip())
def test_an_example_is_understood(block: Block) -> None:
    """Its options and values are as the command takes them."""
    words = shlex.split(block.text.replace("${DATABASE_URL/+psycopg/}", "URL"))
    starts = [at for at, word in enumerate(words) if word == "outboxctl"]
    assert starts
    for start in starts:
        call = itertools.takewhile(lambda word: word not in OPERATORS, words[start + 1 :])
        command, path, rest = command_of([*call])
        command.make_context(path[-1], rest)
