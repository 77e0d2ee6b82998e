"""NAME_FILE stands for NAME: where it counts, what it must hold, and that it is read again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from outboxctl.core.conninfo import parameters
from outboxctl.domain.errors import UsageError
from outboxctl.settings import Source, load

pytestmark = [pytest.mark.no_servers, pytest.mark.usefixtures("no_settings")]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_without_the_line_end_of_its_file(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    Path("key").write_bytes(f"czNjcmV0 {end}".encode())
    monkeypatch.setenv("ELASTIC_API_KEY_FILE", "key")
    given = load()
    assert given.elastic_api_key
    assert given.elastic_api_key.get_secret_value() == "czNjcmV0 "
    assert given.origin("elastic_api_key")[-1] == "key"
    assert given.origin("elastic_api_key").source is Source.FILE


def test_a_file_stands_where_its_value_would(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("old").write_text("postgres://old/d")
    Path("new").write_text("postgres://new/d")
    Path(".env").write_text("DATABASE_URL_FILE=old\n")
    assert load().require_database_url() == "postgresql://old/d"
    monkeypatch.setenv("DATABASE_URL_FILE", "new")
    assert load().require_database_url() == "postgresql://new/d"
    assert load(database_url="postgres://flag/d").require_database_url() == "postgresql://flag/d"
    assert load(database_url="postgres://flag/d").origin("database_url").source is Source.FLAG
    monkeypatch.delenv("DATABASE_URL_FILE")
    monkeypatch.setenv("DATABASE_URL", "postgres://env/d")
    assert load().require_database_url() == "postgresql://env/d"


def _big(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(70_000)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: None, "No such file"),
        (Path.mkdir, "directory"),
        (_big, "larger than"),
        (lambda path: path.write_bytes(b"hunter2\xff"), "not text"),
        (lambda path: path.write_bytes(b"hunter2\0"), "not text"),
        (lambda path: path.write_bytes(b"\n"), "empty"),
        (lambda path: path.write_bytes(b"hunter2\nhunter2\n"), r"control characters|expected"),
        (lambda path: __import__("os").mkfifo(path), "no regular file"),
    ],
)
def test_what_is_no_secret_names_the_setting_and_the_file(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], why: str
) -> None:
    make(Path("its-path"))
    monkeypatch.setenv("DATABASE_URL_FILE", "its-path")
    with pytest.raises(UsageError, match=why) as caught:
        load()
    assert "DATABASE_URL_FILE" in str(caught.value)
    assert "its-path" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_url_that_libpq_refuses_is_said_to_be_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("its-path").write_text("postgres://u@h/d?pasword=hunter2")
    monkeypatch.setenv("DATABASE_URL_FILE", "its-path")
    with pytest.raises(UsageError, match="bad setting DATABASE_URL_FILE") as caught:
        parameters(load().require_database_url())
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_value_and_a_file_in_one_place_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTIC_PASSWORD", "hunter2")
    monkeypatch.setenv("ELASTIC_PASSWORD_FILE", "p")
    with pytest.raises(UsageError, match="both ELASTIC_PASSWORD and ELASTIC_PASSWORD_FILE"):
        load()


def test_files_are_read_again_and_only_what_is_new_and_right_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("url")
    file.write_text("postgres://u:one@h/d")
    monkeypatch.setenv("DATABASE_URL_FILE", "url")
    given = load(bulk_size=7)
    assert given.renewed() is given
    file.write_text("postgres://u:two@h/d\n")
    fresh = given.renewed()
    assert fresh.require_database_url() == "postgresql://u:two@h/d"
    assert (fresh.bulk_size, fresh.worker_id) == (7, given.worker_id)
    for half in ("", "postgr"):
        file.write_text(half)
        assert fresh.renewed() is fresh
    file.unlink()
    assert fresh.renewed() is fresh
    assert load(database_url="postgres://flag/d").renewed().require_database_url() == "postgresql://flag/d"
