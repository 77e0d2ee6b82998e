"""Labs as a person meets them: what `lab run` is given, what each says of itself, in both languages."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner

from outboxctl.cli import lab as commands
from outboxctl.cli.app import app
from outboxctl.core.schema.namespaces import in_schema
from outboxctl.domain.errors import UsageError
from outboxctl.drills.labs import Lab, messages
from outboxctl.drills.labs.catalogue import LABS

pytestmark = pytest.mark.no_servers
EVENT_ID = "2cf0f5e7-ef32-5c43-91b6-e065a8f204c9"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SOURCES = (Path(commands.__file__), *Path(messages.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["kill-and-heel"], "did you mean kill-and-heal?"),
        (["core", "--set", "OUTBOX_LEASE_SECOND=3"], "did you mean OUTBOX_LEASE_SECONDS?"),
        (["core", "--set", "OUTBOX_LEASE_SECONDS=0"], "OUTBOX_LEASE_SECONDS '0'"),
        (["core", "--set", "OUTBOX_LEASE_SECONDS"], "NAME=VALUE"),
        (["core", "--set", "=3"], "NAME=VALUE"),
        (["core", "--set", "DATABASE_URL=postgresql://u:secret@h/n"], "unknown setting"),
        (["core", "--set", "OUTBOX_OUTAGE_POLICY=\x1b[31mhold"], "OUTBOX_OUTAGE_POLICY"),
        (["core", "--worker", "no-such-program-here"], "--worker"),
        (["core", "--worker", "'"], "--worker"),
        (["core", "--worker", ""], "--worker"),
        (["core", "--evidence", "."], "not empty"),
    ],
    ids=lambda value: " ".join(value).encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_bad_input_ends_before_anything_begins(
    flags: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    done = CliRunner().invoke(app, ["lab", "run", *flags])
    assert isinstance(done.exception, UsageError)
    told = f"{done.exception} {done.exception.hint}"
    assert said in told
    assert "\x1b" not in told
    assert "secret" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["something"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_what_a_url_already_says_stays(scheme: str) -> None:
    url = f"{scheme}://u:p%40w@h:5/n?sslmode=disable&options=-cstatement_timeout%3D5s"
    made = in_schema(url, "outboxctl_lab_x_1")
    assert made.startswith(f"{scheme}://u:p%40w@h:5/n?")
    assert "+" not in urlsplit(made).query
    query = parse_qs(urlsplit(made).query)
    assert query["options"] == ["-cstatement_timeout=5s -csearch_path=outboxctl_lab_x_1"]
    assert query["sslmode"] == ["disable"]


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_its_page_in_chinese_is_chinese(lab: type[Lab]) -> None:
    lines = CliRunner().invoke(app, ["lab", "list", lab.name, "--lang", "zh"]).output.splitlines()
    headings = [line for before, line in zip(["", *lines], lines, strict=False) if line and not before]
    assert all(CHINESE.search(line) for line in headings[1:]), headings
    commands = lines.index("手工操作")
    comments = [match[1] for line in lines[commands:] if (match := messages.COMMENT.search(line))]
    assert all(map(CHINESE.search, comments)), comments
    for text in (lab.title, lab.question, lab.hypothesis):
        assert text.isascii()
        assert messages.in_language(text, "zh") != text


def test_no_line_of_the_catalogue_is_out_of_use() -> None:
    source = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text() for path in SOURCES))
    parts = {
        english: [each for each in english.split("{}") if each.strip()] for english in messages.catalogue()
    }
    assert [
        english for english, own in parts.items() if not all(part.strip() in source for part in own)
    ] == []


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_what_is_done_by_hand_can_be_done(lab: type[Lab]) -> None:
    for words in (words for line in lab.by_hand for words in _commands(line)):
        if words[:1] == ["outboxctl"]:
            _parse(typer.main.get_command(app), words[1:])


def _commands(line: str) -> Iterator[list[str]]:
    """A line's commands, which `&`, `;` and `|` part."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for between, command in groupby(words, key=lambda word: set(word) <= set("&;|<>")):
        if not between:
            yield list(command)


def _parse(command: Any, words: list[str]) -> None:
    """Raise a usage error for what the command line does not know; nothing is run."""
    children = getattr(command, "commands", {})
    if words and words[0] in children:
        _parse(children[words[0]], words[1:])
    else:
        assert not children or command.invoke_without_command, f"no such command: {words}"
        own = [EVENT_ID if word == "ID" else word for word in words]  # as a person would fill it in
        command.make_context(command.name, own)


@pytest.mark.parametrize(("lang", "english", "chinese"), [("en", 1, 0), ("zh", 0, 1)])
def test_its_page_is_in_the_language_that_was_asked_for(lang: str, english: int, chinese: int) -> None:
    said = CliRunner().invoke(app, ["lab", "list", "daemon", "--lang", lang]).output
    assert said.count("A daemon: stopping, health, alerts") == english
    assert said.count("daemon 运行时工程化（v4）") == chinese
    assert "outboxctl lab run daemon" in said
