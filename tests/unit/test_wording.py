"""Hostile text must not reach a terminal, a log line or a query as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.printable import CONTROL, brief, clean
from outboxctl.net.urls import mask, without_credentials

pytestmark = pytest.mark.no_servers


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
        ("http://h:9200", "http://h:9200"),
        ("http://[hunter2", "***"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert mask(url) == shown


def test_the_client_gets_no_credentials_in_its_url() -> None:
    assert without_credentials("https://u:p%40x@h:443/x") == "https://h:443/x"
