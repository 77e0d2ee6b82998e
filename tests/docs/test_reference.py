"""A command, setting, metric or reason cannot exist undocumented."""

from pathlib import Path

import psycopg
import pytest
from tools.reference import ON_THE_SITE, pages

from docs import schema_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.no_servers
@pytest.mark.parametrize("path", [path for path in pages() if path not in ON_THE_SITE])
def test_the_page_is_what_the_code_says(path: str) -> None:
    assert (DOCS / path).read_text() == pages()[path], "run `make docs`"


def test_the_page_on_the_schema_is_what_a_migrated_database_says(sql: psycopg.Connection) -> None:
    assert schema_page.PAGE.read_text() == schema_page.text(sql), "run `make schema`"
