"""Keys kept until the transaction that found them has ended: in memory while they are few, else in a file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any

from outboxctl.domain.errors import UsageError

MEMORY = 8_000_000  # bytes of JSON: some 100,000 keys


@contextmanager
def spooled(pages: Iterable[Sequence[Any]]) -> Iterator[Iterator[list[Any]]]:
    """All pages, read at once; within the block they come again, as lists of what JSON makes of their items.

    The file has no name, so that nothing is left of it by a process that is killed. Raises UsageError where
    there is no room for it.
    """
    with SpooledTemporaryFile(MEMORY, mode="w+", encoding="ascii") as file:
        try:
            file.writelines(f"{json.dumps(page)}\n" for page in pages)
            file.seek(0)
        except OSError as error:
            raise UsageError(
                f"the keys of changed documents cannot be kept in {gettempdir()}: {error.strerror}",
                hint="make room there, or name another folder in TMPDIR; `outboxctl rebuild` goes on then",
            ) from error
        yield map(json.loads, file)
