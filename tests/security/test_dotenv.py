"""A `.env` that somebody else may have written is not read."""

import os
from pathlib import Path

import pytest

from outboxctl.settings import Source, all_names, folders, load

pytestmark = pytest.mark.no_servers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of ours with a `.env`, which we are in; no other settings."""
    monkeypatch.chdir(tmp_path)
    for name in all_names():
        monkeypatch.delenv(name, raising=False)
    tmp_path.chmod(0o755)
    (tmp_path / ".env").write_text("ELASTIC_INDEX=theirs\n")
    (tmp_path / ".env").chmod(0o644)
    folders._say.cache_clear()
    return tmp_path


def read(capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the values of `.env` count; it is said exactly once where they do not."""
    given = load()
    read = given.elastic_index == "theirs"
    assert (given.origin("elastic_index").source is Source.DOTENV) is read
    assert capsys.readouterr().err.count(".env is ignored") == (not read)
    return read


def test_ones_own_is_read_also_where_the_group_is_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(capsys)
    (folder / ".env").chmod(0o664)
    for private in (True, False):
        monkeypatch.setattr(folders, "_private", lambda _gid, own=private: own)
        assert read(capsys) is private


@pytest.mark.parametrize("what", ["file", "folder", "link", "pipe"])
def test_a_dotenv_that_others_may_write_is_ignored_and_said_to_be(
    folder: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    file = folder / ".env"
    if what in {"file", "folder"}:
        (file if what == "file" else folder).chmod(0o777)
    else:
        file.rename(folder / "elsewhere")
        file.symlink_to("elsewhere") if what == "link" else os.mkfifo(file)
    assert not read(capsys)


@pytest.mark.parametrize("path", [".env", "."])
def test_another_users_dotenv_is_ignored(folder: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(folder / path, 65_534, -1)
    assert not read(capsys)


def test_no_variable_of_another_program_is_taken_from_it(folder: Path) -> None:
    (folder / ".env").write_text("HTTP_PROXY=http://evil:1\nPGHOST=evil\n")
    load()
    assert not {"HTTP_PROXY", "PGHOST"} & os.environ.keys()


def test_without_one_nothing_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").unlink()
    load()
    assert capsys.readouterr().err == ""
