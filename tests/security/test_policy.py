"""Whoever finds a hole finds the way to report it, and what the policy names exists."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
POLICY = (ROOT / "SECURITY.md").read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/security.md"])
def test_it_is_named_where_people_look(page: str) -> None:
    assert "SECURITY.md" in (ROOT / page).read_text()


def test_it_says_how_to_report_what_is_supported_and_what_is_out_of_scope() -> None:
    assert re.findall("^## (.+)$", POLICY, re.MULTILINE) == [
        "Report a vulnerability",
        "What is supported",
        "What counts",
        "What does not",
    ]
    assert "@" not in POLICY, "no address that nobody reads"


def test_the_pages_and_headings_that_it_names_exist() -> None:
    for path in re.findall(r"\]\((\S+?)\)", POLICY):
        assert (ROOT / path).is_file(), path
    page = (ROOT / "docs/security.md").read_text()
    for heading in ("Who can do what", "What is not defended", "What is not proven"):
        assert heading in POLICY
        assert re.search(f"^###? {heading}$", page, re.MULTILINE)
