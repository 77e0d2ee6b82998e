"""Every command, option and setting that a page names exists; decisions may name what is gone."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.blocks import PAGES, ROOT
from outboxctl.cli.app import app
from outboxctl.settings import all_names
from outboxctl.settings.loading import LINK

pytestmark = pytest.mark.no_servers
NOT_OURS = {"CHANGELOG.md", "from-the-lab-scripts.md"}
TODAYS = [page for page in PAGES if "adr" not in page.parts and page.name not in NOT_OURS]
INLINE = re.compile(r"`outboxctl ([^`]+)`")
IN_BLOCK = re.compile(r"^ *(?:\$ )?outboxctl (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^( *)```(?:bash|console).*?^\1```$", re.MULTILINE | re.DOTALL)
# Examples of names that are none.
NO_SETTING = re.compile(r"OUTBOX_(USE_ES_BULK|BULK_SIZES|MAX_ATTEMPT|PORT)?")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def root() -> Any:
    return typer.main.get_command(app)


def unknown(text: str) -> list[str]:
    """The words of a command's line that are neither commands nor options where they stand."""
    words, command = shlex.split(re.split(r" \||\|\||>", text)[0], comments=True), root()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    flags = {flag for given in command.params for flag in (*given.opts, *given.secondary_opts)} | {"--help"}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    lost = [
        word for word in words[:1] if hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", word)
    ]
    return lost + [flag for flag in given if flag not in flags]


@pytest.mark.parametrize("page", TODAYS, ids=name)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    lines = INLINE.findall(text) + [
        line for block in BLOCK.finditer(text) for line in IN_BLOCK.findall(block[0])
    ]
    assert not [(line, lost) for line in lines if (lost := unknown(line))]


@pytest.mark.parametrize("page", TODAYS, ids=name)
def test_the_settings_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"\bOUTBOX_[A-Z_]+[A-Z]\b", page.read_text()))
    assert not {
        each for each in named - all_names() if not (LINK.fullmatch(each) or NO_SETTING.fullmatch(each))
    }
