"""Keys of changed documents are kept outside the transaction that found them, whatever they hold."""

from tempfile import SpooledTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.operations.rebuild import source

pytestmark = pytest.mark.no_servers
KEYS = st.lists(st.lists(st.tuples(st.text(), st.integers(0, 2**63 - 1) | st.none()), min_size=1))


@given(KEYS)
def test_all_keys_come_again_in_their_order(pages: list[list[tuple[str, int | None]]]) -> None:
    with source.spooled(pages) as kept:
        assert [[tuple(item) for item in page] for page in kept] == pages


def test_many_keys_are_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MEMORY", 10)
    rolled = []

    class Watched(SpooledTemporaryFile[str]):
        def rollover(self) -> None:
            rolled.append(True)
            super().rollover()

    monkeypatch.setattr(source, "SpooledTemporaryFile", Watched)
    with source.spooled([["a" * 10], ["b" * 10]]) as kept:
        assert [*kept] == [["a" * 10], ["b" * 10]]
    assert rolled
