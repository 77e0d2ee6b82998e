"""Declarations and names that are written to do harm: files elsewhere, terminals, another one's index."""

import os
import re
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable_sql import HOSTILE, clean_sql
from outboxctl.operations.projection.declaration import read
from processes import Cli
from projections.store import FILE, WHO, Store

SECRET = "hunter2"
# ESC, a C1 control (CSI), a mark of direction, and what quoting has to keep.
EVIL = "a\x1b[2J\x9b\u202eb\\c'\"$$ d"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a declaration stands; beside its folder lies a secret."""
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "declared"
    folder.mkdir()
    (folder / "link").symlink_to("../secret.txt")
    (folder / "inner").mkdir()
    (folder / "inner" / "good.sql").write_text("SELECT 1 AS id")
    (folder / "good").symlink_to("inner/good.sql")
    os.mkfifo(folder / "fifo")
    return folder / "shop.toml"


def _naming(file: Path, key: str, name: str) -> str:
    """Why a declaration that names this file is refused."""
    text = FILE.format(index="i") + 'mapping = "{}"\n'
    given = {"query": 'document = "store.documents"', "mapping": 'mapping = "{}"'}[key]
    file.write_text(text.replace(given, f'{key} = "{name}"'))
    with pytest.raises(UsageError) as refused:
        read(file)
    return f"{refused.value} {refused.value.hint}"


@pytest.mark.no_servers
@pytest.mark.parametrize("key", ["query", "mapping"])
def test_a_declaration_reads_regular_files_of_its_own_folder_only(file: Path, key: str) -> None:
    for name in ("../secret.txt", "link", str(file.parent.parent / "secret.txt"), "inner/../../secret.txt"):
        why = _naming(file, key, name)
        assert "is not in the folder of the declaration" in why
        assert SECRET not in why
    for name in ("fifo", "inner", "/dev/zero"):
        assert re.search("is no regular file|is not in the folder", _naming(file, key, name))


@pytest.mark.no_servers
def test_a_link_within_the_folder_is_followed(file: Path) -> None:
    file.write_text(FILE.format(index="i").replace('document = "store.documents"', 'query = "good"'))
    assert read(file)[0].query == "SELECT 1 AS id"


LITERAL, NAME = EVIL.replace("'", "''"), EVIL.replace('"', '""')
TEXTS = [
    f"SELECT '{LITERAL}'",
    f"SELECT '{LITERAL}'\n    '{LITERAL}', 'x'",
    "SELECT E'\\x41\x1b\\\\\x9b\\\x1b''\\''",
    f"SELECT $t${EVIL}$t$, $${EVIL.replace('$', '')}$$",
    f'SELECT x."{NAME}" FROM (SELECT 1 AS "{NAME}") x',
    "SELECT A\u202eb FROM (SELECT 2 AS a\u202eB) x",
    'SELECT U&\'\\0041\x9b\', U&"\\0061\x9b" FROM (SELECT 3 AS "a\x9b") x',
    "SELECT 1 -- \x1b[2J '\r, 2 /* \u202e ' */ ,\f3\r\n",
    f"SELECT CASE WHEN true THEN'{LITERAL}'END",
]


@pytest.mark.parametrize("statement", TEXTS)
def test_sql_without_hostile_characters_says_the_same(sql: psycopg.Connection, statement: str) -> None:
    shown = clean_sql(statement)
    assert not HOSTILE.search(shown)
    assert sql.execute(shown.encode()).fetchall() == sql.execute(statement.encode()).fetchall()
    assert clean_sql(shown) == shown


def test_what_init_and_sql_print_moves_no_terminal_and_does_what_it_says(store: Store, cli: Cli) -> None:
    make = SQL(
        "CREATE TABLE store.odd (id int PRIMARY KEY, {0} text DEFAULT {1}); COMMENT ON TABLE store.odd IS {1}"
    )
    store.sql.execute(make.format(Identifier(EVIL), Literal(EVIL)))
    printed = cli.ok("projection", "init", "store.odd")
    assert not HOSTILE.search(printed)
    store.file.write_text(printed.replace('index = "odd"', f'index = "{store.index}"'), encoding="utf-8")
    assert EVIL in read(store.file)[0].query or 'U&"' in read(store.file)[0].query
    script = store("sql").stdout
    assert not HOSTILE.search(script)
    store.sql.execute(script.encode())
    assert store.what() == ["index"]
    by_sql = store.facts()
    columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'outbox_document_odd'::regclass"
    assert store.sql.execute(f"{columns} ORDER BY attnum").fetchall() == [("id",), (EVIL,)]
    cli.ok("projection", "drop", "odd", *WHO, "--yes")
    store.apply()
    assert store.facts() == by_sql


def test_two_projections_have_no_index_in_common_by_an_alias(store: Store) -> None:
    """The index behind the alias of the first is what the second one names, and nothing is there yet."""
    second = FILE.format(index=f"{store.index}-000001").replace("product]", "other]")
    store.write(after=second)
    for command in (("plan",), ("sql",), ("apply", *WHO)):
        done = store(*command)
        assert done.returncode == 2, done.stdout
        assert "is the index of" in done.stderr
