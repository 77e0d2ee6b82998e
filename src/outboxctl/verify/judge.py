"""What is true of an entity in doubt, from looks at both sides by id; pure."""

from outboxctl.core.entities import Row, State
from outboxctl.sink.scan import Document
from outboxctl.verify.model import Difference, Kind
from outboxctl.verify.same import same


def judge(id_: str, before: State, document: Document | None, after: State) -> Difference | None:
    """How an entity differs, None if it does not.

    `document` was read after `before` and before `after`. If no event was under way at either, and the
    row is still the same, then whatever the row says was delivered before the document was read.
    """
    row = before.rows.get(id_)
    kind = differs(row, document)
    if kind is None:
        return None
    moving = id_ in before.in_flight or id_ in after.in_flight or row != after.rows.get(id_)
    seen = document or Document(id_, 0, None)
    return Difference(
        kind,
        id_,
        row and row.version,
        document and document.version,
        moving,
        seen.seq_no,
        seen.primary_term,
    )


def differs(row: Row | None, document: Document | None) -> Kind | None:
    """How a document differs from its row, None if it does not; bodies count where both are at hand."""
    if row is None:
        return None if document is None else Kind.EXTRA
    if document is None:
        return Kind.MISSING
    if row.version is None or document.version < row.version:  # a row without a version was never sent
        return Kind.STALE
    if document.version > row.version:
        return Kind.AHEAD
    if row.document is None or document.source is None:
        return None
    return None if same(document.source, row.document) else Kind.ALTERED
