"""A command, setting, metric, reason, table or column cannot exist undocumented."""

import re
from pathlib import Path

import psycopg
import pytest
from tools.reference import ON_THE_SITE, pages

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'outboxctl_alembic_version'
"""


@pytest.mark.no_servers
@pytest.mark.parametrize("path", [path for path in pages() if path not in ON_THE_SITE])
def test_the_page_is_what_the_code_says(path: str) -> None:
    assert (DOCS / path).read_text() == pages()[path], "run `make docs`"


def test_the_page_on_the_schema_has_each_column_of_a_migrated_database(sql: psycopg.Connection) -> None:
    parts = re.split(r"^## `(\w+)`$", (DOCS / "reference" / "schema.md").read_text(), flags=re.MULTILINE)
    named = {
        (table, column)
        for table, part in zip(parts[1::2], parts[2::2], strict=True)
        for column in re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
    }
    assert named == set(sql.execute(COLUMNS).fetchall())
