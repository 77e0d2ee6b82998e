"""What a comparison by key cannot see: rows that only the view has, and numbers that differ all the same."""

from collections.abc import Iterator
from datetime import datetime

from outboxctl.core.database import Database
from outboxctl.core.projections import events, pages
from outboxctl.core.refused_reads import ReadRefusedError, reading_of
from outboxctl.domain.projection import Projection, document_id
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind

KEYS = 1_000  # fetched at once
ALL = "*"  # in place of a document's id, where a finding is of no single one
NO_ROOT = "no row of {root} has this key: correct the view, or the root and the key of the declaration"
NOT_LOOKED_FOR = "rows of {view} without a row of {root} could not be looked for: {why}"
DIFFERING = (
    "{rows:,} rows and {documents:,} documents, though no document differs and nothing changed meanwhile:"
    " an id may be in several shards; `outboxctl rebuild --projection {name}` makes an index with each once"
)


def only_in_view(database: Database, projection: Projection, *, unreadable: bool) -> Iterator[Difference]:
    """Rows of the view whose key no row of the root has.

    `unreadable`: a row that cannot be read was reported, and may be why these cannot be looked for. Raises
    InconclusiveError where the view cannot be read.
    """
    text = NO_ROOT.format(root=projection.root)
    try:
        with database.begin() as connection:
            for key in pages.unreached(connection, projection, size=KEYS):
                yield Difference(DifferenceKind.UNREACHED, document_id(key), key=key, error=text)
    except ReadRefusedError as error:
        with reading_of(projection.document), database.begin() as connection:
            pages.present(connection, projection, [])
        text = NOT_LOOKED_FOR.format(view=projection.document, root=projection.root, why=error.words)
        if not unreadable:
            yield Difference(DifferenceKind.UNREADABLE, ALL, error=text)


def uncounted(
    database: Database, projection: Projection, census: Census, began: datetime
) -> Iterator[Difference]:
    """A finding where the numbers differ and no event since `began` explains it; where none else was made."""
    if census.rows == census.documents:
        return
    with database.begin() as connection:
        moved = events.moved(connection, projection.name, began)
    if not moved:
        text = DIFFERING.format(rows=census.rows, documents=census.documents, name=projection.name)
        yield Difference(DifferenceKind.UNCOUNTED, ALL, error=text)
