"""A shop with a declaration file, for tests of the commands."""

from pathlib import Path

import psycopg
import pytest

from processes import Cli
from projections.store import FILE, TABLES, Store


@pytest.fixture
def store(sql: psycopg.Connection, cli: Cli, index: str, tmp_path: Path) -> Store:
    """Tables, a view, and a file that declares a projection of them."""
    sql.execute(TABLES)
    file = tmp_path / "store.toml"
    file.write_text(FILE.format(index=f"{index}-products"), encoding="utf-8")
    return Store(sql, cli, f"{index}-products", file)
