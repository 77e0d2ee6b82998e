"""A random sample of rows, compared with their documents; what has an event in flight does not count."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from random import sample
from typing import TYPE_CHECKING

from outboxctl.core.documents.rows import PageRange, RowState, state_of
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import in_force
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import is_text
from outboxctl.operations.projection.known import named, search_index_unused, source_of
from outboxctl.operations.verify.model import DifferenceKind
from outboxctl.operations.verify.review import Review
from outboxctl.sink.index.scan import reader_of

if TYPE_CHECKING:
    from outboxctl.core.database import Database
    from outboxctl.sink.transport.client import Client

CHUNK = 1_000  # documents a request
SPARE = 10  # pages: some may be empty
EACH = 10  # rows of one page, so that a sample is of many
MOST = 1_000_000  # bytes of a page of keys


@dataclass(frozen=True)
class Drift:
    """How many rows were compared, and the ids of the documents that are missing, stale or ahead."""

    sampled: int
    differing: list[str]


def drift(database: "Database", client: "Client", index: str, size: int) -> Drift:
    """Compare about `size` random rows of all projections in use with their documents.

    `index` is that of the built-in one. Raises UnreachableError if the database or the sink is unreachable,
    also for an index that is missing.
    """
    with database.begin() as connection:
        used = [] if search_index_unused(connection) else [named(connection, PROJECTION, index)]
        projections = [*used, *in_force.declared(connection)]
    sampled, differing = 0, list[str]()
    for projection in projections:
        source, reader = source_of(projection), reader_of(client, projection.index, projection.routed)
        ids = _random_ids(database, source, max(1, size // len(projections)))
        reader.check_unchanged()  # looks at the index without a sample, too
        review = Review(database, reader, source, content=not source.versioned)
        for start in range(0, len(ids), CHUNK):
            found = review.of(ids[start : start + CHUNK])
            kept = (each for each in found if not each.in_flight)
            differing += [each.id for each in kept if each.kind is not DifferenceKind.UNREADABLE]
        sampled += len(ids)
    return Drift(sampled, differing)


def _random_ids(database: "Database", source: DocumentSource, size: int) -> list[str]:
    """The ids of up to `size` rows that have a document, some of each page; more where pages are few."""
    found, others = list[str](), list[str]()
    for rows in islice(_pages(database, source), size + SPARE):
        ids = [*_ids(sample(rows, len(rows)), source)]
        found, others = found + ids[:EACH], others + ids[EACH:]
        if len(found) >= size:
            break
    return (found + sample(others, len(others)))[:size]


def _ids(rows: Iterable[RowState], source: DocumentSource) -> Iterator[str]:
    """Of those that can be in an index: it has no bytes that are not UTF-8, and no row without a version."""
    for id_, version, _, _ in rows:
        text = id_.decode("utf-8", "surrogateescape")
        if text and is_text(text) and (not source.versioned or (version is not None and version >= 0)):
            yield text


def _pages(database: "Database", source: DocumentSource) -> Iterator[list[RowState]]:
    """The rows of pages that can be read, in random order; where there are none to read by, in the key's."""
    with database.begin() as connection:
        last = source.last_page(connection)
    if last is None:
        for page in source.pages(database, None, size=10 * EACH, most=MOST, content=False, versions=False):
            yield [*map(state_of, page.rows)]
    for number in sample(range(last or 0), last or 0):
        rows = list[RowState]()
        with suppress(ReadRefusedError), database.begin() as connection:
            rows = source.in_range(connection, PageRange(number, number + 1), content=False)
        yield rows
