"""Every relative link in the documentation leads to a file."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_psql_is_handed_an_address_that_it_reads_and_stops_at_an_error(page: Path) -> None:
    for command in re.findall(r"^(?:outboxctl .*\| )?psql\b.*$", page.read_text(), re.MULTILINE):
        assert 'psql -v ON_ERROR_STOP=1 "${DATABASE_URL/+psycopg/}"' in command
