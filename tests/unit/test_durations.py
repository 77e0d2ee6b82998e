"""Lengths of time as people write them."""

from datetime import timedelta

import pytest

from outboxctl.cli.parse import duration
from outboxctl.domain.errors import UsageError

pytestmark = pytest.mark.no_servers
GOOD = {
    "7d": timedelta(days=7),
    "2w": timedelta(weeks=2),
    "12h": timedelta(hours=12),
    "30m": timedelta(minutes=30),
    "90s": timedelta(seconds=90),
    "1.5h": timedelta(minutes=90),
    "36500d": timedelta(days=36_500),
}
BAD = [
    *("", "7", "d", " 7d", "-7d", "0s", "0.0000001s", "nan", "1e3s", "7D", "P7D"),
    *("36501d", "999999999999d", "9" * 400 + "d", "٣d", "7d\n", "\x1b[31m7d", "\udcff"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_duration(text: str) -> None:
    assert duration("--older-than", text) == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text.encode("unicode_escape").decode()[:20] or "empty")
def test_no_duration(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        duration("--older-than", text)
    assert "--older-than" in str(caught.value)
    assert "7d" in caught.value.hint
    assert not {"\x1b", "\n", "\x00"} & set(str(caught.value))
