"""Hostile text must not reach a terminal, a log line or a query as it is."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import outboxctl
from outboxctl.cli.rendering import json_text
from outboxctl.domain.printable import CONTROL, RAW_IN_JSON, brief, clean
from outboxctl.domain.redaction import redacted
from outboxctl.net.urls import mask, without_credentials

pytestmark = pytest.mark.no_servers
# An option that stands before the command, named elsewhere; in quotes alone it is declared.
MISPLACED = re.compile(r"""(?<!outboxctl )(?<!")--(?:database-url|elastic-url|elastic-index)""")


@given(st.text())
def test_nothing_can_move_a_cursor_or_break_a_line(text: str) -> None:
    assert not CONTROL.search(clean(text))
    clean(text).encode()


@given(st.text(st.characters(), max_size=300), st.integers(10, 100))
def test_brief_is_brief(text: str, limit: int) -> None:
    assert len(brief(text, limit)) <= limit


def test_a_readable_text_stays_as_it_is() -> None:
    assert clean("重放 [/nope] café 🙂") == "重放 [/nope] café 🙂"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:a@hunter2@h/d", "postgresql://***@h/d"),
        ("postgresql://u:a/hunter2@h/d", "postgresql://***@h/d"),
        ("postgresql://u:a?hunter2@h/d", "postgresql://***@h/d"),
        ("postgresql://u:a#hunter2@h/d", "postgresql://***@h/d"),
        (
            "postgresql://h/d?password=hunter2&sslmode=require",
            "postgresql://h/d?password=***&sslmode=require",
        ),
        (
            "postgresql://h/d?pasword=hunter2&sslkey=/its/path",
            "postgresql://h/d?pasword=***&sslkey=/its/path",
        ),
        ("http://h:9200", "http://h:9200"),
        ("http://[hunter2", "***"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert mask(url) == shown


def test_the_client_gets_no_credentials_in_its_url() -> None:
    assert without_credentials("https://u:p%40x@h:443/x") == "https://h:443/x"


@settings(derandomize=True, max_examples=200)
@given(st.dictionaries(st.text(st.characters(), max_size=8), st.lists(st.text(st.characters(), max_size=20))))
def test_it_says_the_same_and_shows_nothing_hostile(report: dict[str, list[str]]) -> None:
    shown = json_text(report)
    assert json.loads(shown) == redacted(report)
    assert not RAW_IN_JSON.search(shown)
    shown.encode()


def test_a_hint_names_an_option_before_the_command_in_its_place() -> None:
    texts = {path: path.read_text() for path in Path(outboxctl.__file__).parent.rglob("*.py")}
    assert [str(path) for path, text in texts.items() if MISPLACED.search(text)] == []
