"""A command, setting, metric or reason cannot exist undocumented."""

from pathlib import Path

import pytest

from outboxctl.cli.reference import pages

pytestmark = pytest.mark.no_servers
DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", pages())
def test_the_page_is_what_the_code_says(path: str) -> None:
    assert (DOCS / path).read_text() == pages()[path], "run `make docs`"
