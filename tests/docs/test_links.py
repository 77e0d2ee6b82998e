"""Links and files that a page names exist; `make site` looks at the links within `docs/` once more."""

import re
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from docs.blocks import ROOT, name

pytestmark = pytest.mark.no_servers
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)]+))?\)")
BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What `#` can lead to on a page."""
    text = page.read_text()
    given = set(re.findall(r'(?:id|name)="([^"]+)"|\{ ?#([\w-]+)', text))
    return {slugify(each, "-") for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)} | {
        one or other for one, other in given
    }


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md")], ids=name)
def test_a_link_outside_the_site_leads_somewhere(page: Path) -> None:
    for link, anchor in LINK.findall(BLOCK.sub("", page.read_text())):
        target = (page.parent / link) if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"
