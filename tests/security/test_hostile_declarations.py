"""Declarations and names that are written to do harm: files elsewhere, terminals, another one's index."""

import os
import re
from pathlib import Path

import pytest
from psycopg.sql import SQL, Identifier

from outboxctl.domain.errors import UsageError
from outboxctl.operations.projection.declaration import read
from processes import Cli
from projections.store import FILE, WHO, Store

SECRET = "hunter2"
# ESC, a C1 control (CSI), a mark of direction, and quotes.
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


def test_what_would_move_a_terminal_is_refused_by_init_and_sql(store: Store, cli: Cli) -> None:
    store.sql.execute(SQL("CREATE TABLE store.odd (id int PRIMARY KEY, {} text)").format(Identifier(EVIL)))
    refused = cli("projection", "init", "store.odd")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert r"a\x1b[2J\x9b\u202eb" in refused.stderr
    store.query("SELECT id, title, '\u202e' AS mark FROM store.products")
    refused = store("sql")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert r"\u202e" in refused.stderr
    assert "U&" in refused.stderr
    store.apply()


def test_two_projections_have_no_index_in_common_by_an_alias(store: Store) -> None:
    """The index behind the alias of the first is what the second one names, and nothing is there yet."""
    second = FILE.format(index=f"{store.index}-000001").replace("product]", "other]")
    store.write(after=second)
    for command in (("plan",), ("sql",), ("apply", *WHO)):
        done = store(*command)
        assert done.returncode == 2, done.stdout
        assert "is the index of" in done.stderr
