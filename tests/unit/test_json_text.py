"""JSON for machines: no secret, nothing hostile to look at; passwords of our own servers where asked."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboxctl.cli.rendering import json_text
from outboxctl.domain.printable import RAW_IN_JSON

pytestmark = pytest.mark.no_servers
OURS = "postgresql://postgres:made-by-us@127.0.0.1:5435/postgres"


@settings(derandomize=True, max_examples=200)
@given(st.dictionaries(st.text(st.characters(), max_size=8), st.lists(st.text(st.characters(), max_size=20))))
def test_it_says_the_same_and_shows_nothing_hostile(report: dict[str, list[str]]) -> None:
    for indent in (None, 2):
        shown = json_text(report, indent=indent, own=True)
        assert json.loads(shown) == report
        assert not RAW_IN_JSON.search(shown)
        shown.encode()


def test_the_password_of_a_server_that_we_started_is_told_where_that_is_meant() -> None:
    """`demo --keep --json` gives the URL by which the server that it leaves is used."""
    assert OURS in json_text({"kept": {"database_url": OURS}}, own=True)
    assert "made-by-us" not in json_text({"error": f"cannot reach {OURS}"})
