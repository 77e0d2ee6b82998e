"""Comparing both sides, with flat memory: what differs at the first reading is only suspect.

Both sides change while they are read. So each suspect is read again by id, on both sides, with the events in
flight for it, and judged by that alone (`review`).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from threading import Event

from outboxctl.core.documents.rows import SourcePage, SourceRow, States, row_of
from outboxctl.core.documents.source import PageOptions
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import UsageError
from outboxctl.operations.pipeline import in_lanes
from outboxctl.operations.verify.judge import differing_fields, differs
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, Sides
from outboxctl.operations.verify.one_pass import LANES, OnePass
from outboxctl.sink.index.scanned import ScannedDocument

CONNECTIONS = LANES + 1  # that a comparison takes from the database's pool
SIZE = 1_000  # documents read by id at once, at most
BYTES = 4_000_000  # of them
ALL = "*"  # in place of a document's id, where a finding is of no single one
NO_ROOT = "no row of {} has this key: correct the view, or the root and the key of the declaration"
NOT_LOOKED_FOR = "rows of {} without a row of the root could not be looked for: {}"


def compare(
    sides: Sides,
    *,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each document that differs, as soon as it is known; those with an event in flight are marked.

    The database needs CONNECTIONS connections. `census` counts what was read, `advance` is called with the
    rows of each page; after `stop` no page is begun. Raises UsageError for an index that cannot be compared,
    InconclusiveError for a view that cannot be read, UnreachableError for an unreachable side.
    """
    shape = sides.reader.shape
    if sides.content and shape.no_content:
        raise UsageError(
            f"the documents of {shape.name} cannot be compared by content: {shape.no_content}",
            hint="compare versions alone: --versions-only",
        )
    sides.reader.refresh()
    stop, unreadable = stop or Event(), False
    suspects = _suspects(sides, census or Census(), advance, stop)
    while some := list(islice(suspects, SIZE)):
        for difference in review(sides, some):
            unreadable |= difference.kind is DifferenceKind.UNREADABLE
            yield difference
    if not stop.is_set():
        yield from _unreached(sides, unreadable=unreadable)


def _suspects(sides: Sides, census: Census, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
    """Ids that differ at the first reading: in one pass over both sides if that suffices, else in two."""
    ids = OnePass(sides).suspects(census, advance, stop)
    if ids is not None:
        yield from ids
        return
    advance(-census.rows)
    census.rows = census.documents = 0
    yield from by_id(sides, census, advance, stop)


def by_id(sides: Sides, census: Census, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
    """Ids that differ: each row's document, then each document's row. A few pages are in memory."""
    wanted = PageOptions(SIZE, BYTES, sides.content, versions=False)
    rows = sides.source.pages(sides.database, None, wanted)
    with in_lanes(partial(_differing, sides), rows, LANES) as examined:
        for page, suspects in examined:
            yield from suspects
            census.rows += len(page.rows)
            advance(page.read)
            if stop.is_set():
                return
    with in_lanes(partial(_without_row, sides), sides.reader.everything(), LANES) as examined_documents:
        for documents, suspects in examined_documents:
            yield from suspects
            census.documents += len(documents)
            if stop.is_set():
                return


def _differing(sides: Sides, page: SourcePage) -> list[str]:
    """The ids of rows whose document differs, or that no document can have."""
    rows = {each.key: each for each in map(row_of, page.rows)}
    documents = sides.documents([*rows])
    return [
        id_ for id_, row in rows.items() if id_ not in documents or differs(row, documents[id_], sides.source)
    ]


def _without_row(sides: Sides, page: Sequence[ScannedDocument]) -> list[str]:
    source, database = sides.source, sides.database

    def present(keys: Sequence[str]) -> list[SourceRow]:
        with database.begin() as connection:
            return source.read(connection, keys, content=False)

    keys = source.keys(database, [each.id for each in page])
    parts = source.each(database, [*dict.fromkeys(keys.values())], present)
    rows = (each for part in parts for each in part if each.error or each.text is not None)
    there = {source.projection.id_of(each.key) for each in rows}
    return [each.id for each in page if each.id not in there]


def review(sides: Sides, suspects: Sequence[str]) -> Iterator[Difference]:
    """Yield those of these ids that do differ.

    A document is read after one state of its row and before another. If no event was in flight at either,
    and neither the row nor the document changed since, then what the row holds was delivered before.
    """
    before, found = sides.states(suspects), sides.documents(suspects)
    differing = {
        id_: kind for id_ in suspects if (kind := differs(before.rows.get(id_), found.get(id_), sides.source))
    }
    still = [id_ for id_ in differing if id_ not in before.flying]
    after, again = sides.states(still), sides.documents(still)
    for id_, kind in differing.items():
        changed = before.rows.get(id_) != after.rows.get(id_) or found.get(id_) != again.get(id_)
        in_flight = id_ in before.flying or id_ in after.flying or changed
        yield _difference(sides, kind, id_, before, found.get(id_), in_flight=in_flight)


def _difference(
    sides: Sides,
    kind: DifferenceKind,
    id_: str,
    state: States,
    document: ScannedDocument | None,
    *,
    in_flight: bool,
) -> Difference:
    row, key, source = state.rows.get(id_), state.keys.get(id_), sides.source
    return Difference(
        kind,
        id_,
        row.version if row and source.versioned else None,
        document.version if document and source.versioned else None,
        in_flight,
        document.seq_no if document else None,
        document.primary_term if document else None,
        row.error if row else "",
        key if key is not None and source.nameable(key) else None,
        document.routing if document else "",
        differing_fields(row, document, source) if kind is DifferenceKind.DIFFERENT else (),
    )


def _unreached(sides: Sides, *, unreadable: bool) -> Iterator[Difference]:
    """Rows of the view whose key no row of the root has.

    `unreadable`: a row that cannot be read was reported, and may be why these cannot be looked for.
    """
    source = sides.source
    try:
        with sides.database.begin() as connection:
            text = NO_ROOT.format(source.root(connection))
            for key in source.unreached(connection, size=SIZE):
                id_ = source.projection.id_of(key)
                yield Difference(DifferenceKind.UNREACHED, id_, key=key, error=text)
    except ReadRefusedError as error:
        with source.reading(None), sides.database.begin() as connection:
            source.read(connection, [], content=False)
        if not unreadable:
            text = NOT_LOOKED_FOR.format(source.projection.document, error.words)
            yield Difference(DifferenceKind.UNREADABLE, ALL, error=text)
