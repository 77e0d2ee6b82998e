"""Keys of changed documents are kept outside the transaction that found them, whatever they hold."""

import errno
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.errors import UsageError
from outboxctl.operations.rebuild import spool

pytestmark = pytest.mark.no_servers
KEYS = st.lists(st.lists(st.tuples(st.text(), st.integers(0, 2**63 - 1) | st.none()), min_size=1))


@given(KEYS)
def test_all_keys_come_again_in_their_order(pages: list[list[tuple[str, int | None]]]) -> None:
    with spool.spooled(pages) as kept:
        assert [[tuple(item) for item in page] for page in kept] == pages


def test_all_are_read_before_the_first_comes() -> None:
    read: list[int] = []

    def pages() -> Iterator[list[int]]:
        for number in range(3):
            read.append(number)
            yield [number]

    with spool.spooled(pages()) as kept:
        assert read == [0, 1, 2]
        assert next(kept) == [0]


def test_many_keys_are_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MEMORY", 10)
    rolled = []

    class Watched(SpooledTemporaryFile[str]):
        def rollover(self) -> None:
            rolled.append(True)
            super().rollover()

    monkeypatch.setattr(spool, "SpooledTemporaryFile", Watched)
    with spool.spooled([["a" * 10], ["b" * 10]]) as kept:
        assert [*kept] == [["a" * 10], ["b" * 10]]
    assert rolled


def test_a_full_folder_says_what_to_do() -> None:
    def pages() -> Iterator[list[str]]:
        yield ["a"]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match="No space left on device") as caught, spool.spooled(pages()):
        pass
    assert "TMPDIR" in caught.value.hint
