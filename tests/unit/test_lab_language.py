"""Whoever asks for Chinese gets Chinese: every message of a lab has its line, and no line is out of use."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from english import CHINESE, strangers
from outboxctl.cli.app import app
from outboxctl.cli.lab import summary
from outboxctl.drills.labs import messages
from outboxctl.drills.labs.catalogue import LABS

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab

pytestmark = pytest.mark.no_servers
SOURCES = (Path(summary.__file__).parent, Path(messages.__file__).parent)


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_its_page_in_chinese_is_chinese(lab: "type[Lab]") -> None:
    lines = CliRunner().invoke(app, ["lab", "list", lab.name, "--lang", "zh"]).output.splitlines()
    headings = [line for before, line in zip(["", *lines], lines, strict=False) if line and not before]
    assert all(CHINESE.search(line) for line in headings[1:]), headings
    commands = lines.index("手工操作")
    does = lines[lines.index("过程") : commands]
    assert not [line for line in does if strangers(line) and "export" not in line]
    comments = [match[1] for line in lines[commands:] if (match := messages.COMMENT.search(line))]
    assert not [each for each in comments if strangers(each)]
    for text in (lab.title, lab.question, lab.hypothesis):
        assert text.isascii()
        assert messages.in_language(text, "zh") != text


def test_no_line_of_the_catalogue_is_out_of_use() -> None:
    paths = [
        path for folder in SOURCES for path in folder.rglob("*") if path.suffix in {".py", ".html", ".md"}
    ]
    source = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text() for path in paths))
    parts = {
        english: [each for each in english.split("{}") if each.strip()] for english in messages.catalogue()
    }
    assert [
        english for english, own in parts.items() if not all(part.strip() in source for part in own)
    ] == []
