"""Reading documents of many keys: in parts of bounded size, and by halves where a row cannot be read."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT
from outboxctl.core.projections import documents, pages, version_base
from outboxctl.core.projections.documents import Documents
from outboxctl.core.refused_reads import ReadRefusedError, by_halves, reading_of
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.projection import Projection

BYTES = 4_000_000  # of documents (UTF-8) a part
RAISED = "The versions of documents were raised: this database was restored, or a standby promoted"
RAISES = 3  # times that the base may have to be raised by others between two reads


class DocumentPart(NamedTuple):
    """Some keys in their order, and their documents (JSON text, None where there is none), of one snapshot.

    `error`: why no document can be made for a key, alone in its part, often in PostgreSQL's words.
    `routings` as those of `Documents`.
    """

    keys: Sequence[str]
    texts: Sequence[str | None]
    version: int | None
    error: str = ""
    routings: Sequence[str] = ()


def parts(
    projection: Projection, keys: Sequence[str], read: Callable[[Sequence[str]], Documents]
) -> Iterator[DocumentPart]:
    """The documents of these keys by `read`, which is called without a key to look at the view itself.

    Raises InconclusiveError where the view cannot be read at all.
    """
    waiting = [keys] if keys else []
    with reading_of(projection.document):
        for some, found in by_halves(waiting, read):
            if isinstance(found, ReadRefusedError):
                yield DocumentPart(some, [None], None, found.words)
                continue
            fit = next((n for n, text in enumerate(found.texts) if text == LEFT_OUT), len(some))
            yield from _usable(some[:fit], found)
            if rest := some[fit:]:
                waiting.append(rest)


def _usable(keys: Sequence[str], found: Documents) -> Iterator[DocumentPart]:
    """The first documents of a reading: each key of which none can be made is alone in its part."""
    start = 0
    for end in [*(n for n in sorted(found.unusable) if n < len(keys)), len(keys)]:
        if end > start:
            routings = found.routings[start:end]
            yield DocumentPart(keys[start:end], found.texts[start:end], found.version, routings=routings)
        if end < len(keys):
            yield DocumentPart(keys[end : end + 1], [None], None, found.unusable[end])
        start = end + 1


class Versioned:
    """Reads documents with a version: raises the base of the versions first where that is needed.

    `say` is called with a sentence then.
    """

    def __init__(
        self, database: Database, projection: Projection, say: Callable[[str], object] = lambda _: None
    ) -> None:
        self._database, self._projection, self._say = database, projection, say

    def __call__(self, keys: Sequence[str]) -> Documents:
        """The documents of these keys, at most BYTES of them."""
        return versioned(
            self._database,
            self._projection,
            keys,
            seconds=pages.SECONDS,
            max_bytes=BYTES,
            raise_base=self._raise,
        )

    def _raise(self) -> None:
        with self._database.begin() as connection:
            base = version_base.raise_base(connection)
        if base:
            self._say(f"{RAISED}, to {base}")


def versioned(
    database: Database,
    projection: Projection,
    keys: Sequence[str],
    *,
    seconds: float,
    max_bytes: int | None,
    raise_base: Callable[[], object],
) -> Documents:
    """Documents with a version: `raise_base` is called where the base has to be raised first.

    Raises as `documents.read`, and UnreachableError where that never ends.
    """
    for left in reversed(range(RAISES)):
        try:
            with database.begin() as connection:
                found = documents.read(connection, projection, keys, seconds=seconds, max_bytes=max_bytes)
        except ReadRefusedError as error:
            if not (error.of_any_row and left):
                raise
            database.renew_connections()  # each session asks anew what the server hides from it
            continue
        if found.version is not None:
            return found
        raise_base()
    raise UnreachableError("the server or its timeline changes again and again", hint="see DATABASE_URL")


def is_key(database: Database, projection: Projection, key: str) -> bool:
    """Whether the text is a key of the projection: each part is one of its column's type."""
    if not pages.plausible(projection, key):
        return False
    try:
        with database.begin() as connection:
            pages.castable(connection, projection, key)
    except ReadRefusedError:
        return False
    return True
