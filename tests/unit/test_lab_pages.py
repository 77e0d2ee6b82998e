"""What each lab says of itself: in both languages, and with commands that exist."""

import shlex
from collections.abc import Iterator
from dataclasses import astuple
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from outboxctl.cli.app import app
from outboxctl.cli.lab import page
from outboxctl.cli.lab.catalogue import chosen
from outboxctl.cli.lab.progress import LabProgress
from outboxctl.drills.labs.catalogue import CORE, LABS
from outboxctl.drills.scratch.settings import fixed

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab

pytestmark = pytest.mark.no_servers
EACH = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])


def test_the_document_has_six() -> None:
    assert [lab.number for lab in CORE] == [1, 2, 3, 4, 5, 6]
    assert all(lab.judged for lab in CORE)


@EACH
def test_it_speaks_both_languages(lab: "type[Lab]") -> None:
    for words in (lab.title, lab.question, lab.hypothesis):
        en, zh = astuple(words)
        assert en.isascii()
        assert not zh.isascii()


def test_the_restart_of_an_engine_is_announced_where_there_is_one() -> None:
    """25 s were announced and 9 taken: an imitation of an engine starts in a second."""
    (lab,) = chosen(["outage-and-backoff"])
    quick, slow = (LabProgress([lab], 1, restarts=restarts).remaining for restarts in (False, True))
    assert 6 <= quick <= 12
    assert slow == quick + lab.engine_start > 20
    assert "(9 to 29 s)" in CliRunner().invoke(app, ["lab", "show", lab.name]).output


@pytest.mark.parametrize(
    ("given", "flags", "first", "second"),
    [
        ({}, (), 9108, 9109),
        ({"OUTBOX_METRICS_PORT": "9333"}, (), 9333, 9334),
        ({"OUTBOX_METRICS_PORT": "9333"}, ("--metrics-port", "65535"), 65535, 65534),
        ({".env": "OUTBOX_METRICS_PORT=9444"}, (), 9444, 9445),
        ({"OUTBOX_METRICS_HOST": "10.0.0.7"}, (), 9108, 9109),
    ],
    ids=str,
)
def test_the_commands_name_the_port_that_is_set(
    given: dict[str, str],
    flags: tuple[str, ...],
    first: int,
    second: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """9108 was named whatever was set: `curl` asked nobody, or another worker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUTBOX_METRICS_PORT", raising=False)
    for name, value in given.items():
        (tmp_path / name).write_text(value) if name == ".env" else monkeypatch.setenv(name, value)
    host = given.get("OUTBOX_METRICS_HOST", "localhost")
    for json in ((), ("--json",)):
        said = CliRunner().invoke(app, ["lab", "show", "two-workers", *flags, *json]).output
        assert f"curl -s {host}:{first}/metrics {host}:{second}/metrics" in said
        assert f"OUTBOX_METRICS_PORT={second} outboxctl worker" in said


def test_every_port_of_a_command_is_one_that_is_set() -> None:
    given = fixed({"metrics_port": "1111"})
    lines = [line for lab in LABS for line in page.by_hand(lab, given)]
    assert not [line for line in lines if "910" in line]
    assert [line for line in lines if "1111" in line]


@EACH
def test_what_is_done_by_hand_can_be_done(lab: "type[Lab]") -> None:
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
        command.make_context(command.name, words)


@pytest.mark.parametrize(("lang", "english", "chinese"), [("en", 1, 0), ("zh", 0, 1), ("both", 1, 1)])
def test_its_page_is_in_the_language_that_was_asked_for(lang: str, english: int, chinese: int) -> None:
    said = CliRunner().invoke(app, ["lab", "show", "daemon", "--lang", lang]).output
    assert said.count("A daemon: stopping, health, alerts") == english
    assert said.count("daemon 运行时工程化（v4）") == chinese
    assert "outboxctl lab run daemon" in said


def test_a_lab_of_the_document_answers_to_its_number_too() -> None:
    by_name, by_number = (CliRunner().invoke(app, ["lab", "show", name]).output for name in ("daemon", "6"))
    assert by_number == by_name
    assert [lab.number for lab in chosen(["2", "bad-op"])] == [2, 3]


def test_a_page_that_is_piped_is_not_filled_up_with_blanks() -> None:
    lines = CliRunner().invoke(app, ["lab", "show", "kill-and-heal"]).output.splitlines()
    assert max(map(len, lines)) < 110
