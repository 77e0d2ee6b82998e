"""The Chinese pages say what the code and the English pages say."""

import re
from pathlib import Path

import pytest

from outboxctl.drills.labs import Lab
from outboxctl.drills.labs.catalogue import CORE
from outboxctl.drills.labs.messages import in_language

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
ZH = ROOT / "docs" / "zh"
ROW = re.compile(r"^\| (`[^|]+) \| ([^|]+) \|", re.MULTILINE)


def part(lab: type[Lab]) -> str:
    """What the page of the six labs says of this one."""
    page = (ZH / "labs.md").read_text()
    return re.split(r"^## ", page[page.index(f"## {lab.number}. {lab.name}") + 3 :], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("lab", CORE, ids=lambda lab: lab.name)
def test_a_lab_is_told_in_its_own_words(lab: type[Lab]) -> None:
    said = part(lab)
    assert f"**{in_language(lab.title, 'zh')}**" in said
    assert f"目的：{in_language(lab.question, 'zh')}" in said
    assert f"预期：{in_language(lab.hypothesis, 'zh')}" in said
    assert f"判定: {in_language(f'{lab.judged} OK', 'zh')}" in said
    assert {name: value.strip() for name, value in ROW.findall(said)} == {
        f"`{name}`": value for name, value in lab.settings.items()
    }
