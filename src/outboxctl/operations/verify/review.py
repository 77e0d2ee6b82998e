"""The second reading of what differed at the first: of single documents, by id."""

from collections.abc import Iterator, Sequence

from outboxctl.core.database import Database
from outboxctl.core.documents.rows import States
from outboxctl.core.documents.source import DocumentSource
from outboxctl.domain.printable import is_text
from outboxctl.operations.verify.judge import differing_fields, differs
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

CONTENT = {DifferenceKind.DIFFERENT, DifferenceKind.ALTERED}


class Review:
    """The second reading of the suspects of one comparison."""

    def __init__(self, database: Database, reader: Reader, source: DocumentSource, *, content: bool) -> None:
        self._database, self._reader, self._source = database, reader, source
        self._content = content

    def of(self, suspects: Sequence[str]) -> Iterator[Difference]:
        """Yield those of these ids that do differ.

        A document is read after one state of its row and before another. If no event was in flight at either,
        and neither the row nor the document changed since, then what the row holds was delivered before.
        """
        yield from (Difference(DifferenceKind.MISSING, id_) for id_ in suspects if not is_text(id_))
        ids = [id_ for id_ in suspects if is_text(id_)]
        before, found = self._states(ids), self._documents(ids)
        differing = {
            id_: kind for id_ in ids if (kind := differs(before.rows.get(id_), found.get(id_), self._source))
        }
        still = [id_ for id_ in differing if id_ not in before.flying]
        after, again = self._states(still), self._documents(still)
        for id_, kind in differing.items():
            changed = before.rows.get(id_) != after.rows.get(id_) or found.get(id_) != again.get(id_)
            in_flight = id_ in before.flying or id_ in after.flying or changed
            yield self._difference(kind, id_, before, found.get(id_), in_flight=in_flight)

    def _difference(
        self,
        kind: DifferenceKind,
        id_: str,
        state: States,
        document: ScannedDocument | None,
        *,
        in_flight: bool,
    ) -> Difference:
        row, key, source = state.rows.get(id_), state.keys.get(id_), self._source
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
            differing_fields(row, document, source) if kind in CONTENT else (),
        )

    def _states(self, ids: Sequence[str]) -> States:
        return self._source.states(self._database, ids, content=self._content)

    def _documents(self, ids: Sequence[str]) -> dict[str, ScannedDocument | None]:
        asked = [id_ for id_ in ids if id_]  # no engine has an empty one
        return dict(zip(asked, self._reader.get(asked, content=self._content), strict=True))
