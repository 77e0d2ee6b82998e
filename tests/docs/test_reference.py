"""A command, setting, metric, reason, table, column or key of a declaration cannot exist undocumented."""

import re
from pathlib import Path

import psycopg
import pytest
import typer
from tools.reference import ON_THE_SITE, pages

from outboxctl.cli.app import app
from outboxctl.operations.projection import declaration

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


PROJECTIONS = (DOCS / "projections.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


@pytest.mark.no_servers
def test_every_key_of_a_declaration_is_explained() -> None:
    part = PROJECTIONS[PROJECTIONS.index("## The declaration") : PROJECTIONS.index("Files that are named")]
    of_projection, of_follow = (ROW.findall(table) for table in part.split("And in `follow`:"))
    assert sorted(of_projection) == sorted(declaration.KEYS)
    assert sorted(of_follow) == sorted(declaration.FOLLOW_KEYS)


@pytest.mark.no_servers
def test_every_command_is_named() -> None:
    group = typer.main.get_command(app).commands["projection"]  # type: ignore[attr-defined]
    assert set(re.findall(r"`outboxctl projection (\w+)", PROJECTIONS)) == set(group.commands)
