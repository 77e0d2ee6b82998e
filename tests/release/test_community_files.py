"""What GitHub shows to whoever comes: the code of conduct, templates, and issues to begin with."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
ISSUES = (ROOT / ".github" / "good-first-issues.md").read_text()
PATH = re.compile(r"`((?:src|tests|docs|tools)/[\w./-]+|mkdocs\.yml)`")
TO_BE_MADE = {"docs/zh/faq.md"}


def test_each_issue_says_what_to_touch_and_when_it_is_done() -> None:
    issues = re.split(r"^## \d+\. ", ISSUES, flags=re.MULTILINE)[1:]
    assert issues
    for issue in issues:
        assert "\n- Files: " in issue
        assert "\n- Done: " in issue
        assert PATH.search(issue)


def test_the_files_that_they_name_are_there() -> None:
    assert {path for path in PATH.findall(ISSUES) if not (ROOT / path).exists()} == TO_BE_MADE


@pytest.mark.parametrize("name", ["CODE_OF_CONDUCT.md", ".github/good-first-issues.md"])
def test_whoever_wants_to_help_is_led_there(name: str) -> None:
    assert f"({name})" in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_pull_request_is_asked_for_what_exists() -> None:
    template = (ROOT / ".github" / "pull_request_template.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", template)) <= targets
    assert all((ROOT / path).exists() for path in PATH.findall(template))
