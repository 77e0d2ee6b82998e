"""What is true of an entity in doubt, from looks at both sides by id; pure."""

from outboxctl.core.documents.entities import EntityStates, SourceRow
from outboxctl.operations.verify.equality import same
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.sink.index.scan import ScannedDocument


def judge(
    id_: str, before: EntityStates, document: ScannedDocument | None, after: EntityStates
) -> Difference | None:
    """How an entity differs, None if it does not.

    `document` was read after `before` and before `after`. If no event was under way at either, and the
    row is still the same, then whatever the row says was delivered before the document was read.
    """
    row = before.rows.get(id_)
    kind = differs(row, document)
    if kind is None:
        return None
    moving = id_ in before.in_flight or id_ in after.in_flight or row != after.rows.get(id_)
    seen = document or ScannedDocument(id_, 0, None)
    return Difference(
        kind,
        id_,
        row and row.version,
        document and document.version,
        moving,
        seen.seq_no,
        seen.primary_term,
    )


def differs(row: SourceRow | None, document: ScannedDocument | None) -> DifferenceKind | None:
    """How a document differs from its row, None if it does not; bodies count where both are at hand."""
    if row is None:
        return None if document is None else DifferenceKind.EXTRA
    if document is None:
        return DifferenceKind.MISSING
    if row.version is None or document.version < row.version:  # a row without a version was never sent
        return DifferenceKind.STALE
    if document.version > row.version:
        return DifferenceKind.AHEAD
    if row.document is None or document.source is None:
        return None
    return None if same(document.source, row.document) else DifferenceKind.ALTERED
