"""What is compared, and what a comparison returns: how a document differs, and how much was compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from outboxctl.core.database import Database
from outboxctl.core.documents.rows import States
from outboxctl.core.documents.source import DocumentSource
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument


class DifferenceKind(StrEnum):
    """How a document differs from its row, or from its row of the view; one word each."""

    MISSING = "missing"  # a row without a document
    EXTRA = "extra"  # a document without a row
    STALE = "stale"  # the document is older than the row
    AHEAD = "ahead"  # the document is newer than the row: ordinary events cannot reach it
    DIFFERENT = "different"  # another content; of search_index at the same version
    UNREADABLE = "unreadable"  # PostgreSQL cannot make the row's document: whether it differs is not known
    UNREACHED = "unreached"  # a row of the view whose key no row of the root has: no change leads to it
    UNCOUNTED = "uncounted"  # as many rows as documents there are not, though none of them differs


SENT_AGAIN = frozenset(
    {DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.STALE, DifferenceKind.DIFFERENT}
)
MENDED_BY_EVENTS = SENT_AGAIN | {DifferenceKind.AHEAD}  # the others need a person


@dataclass(frozen=True)
class Difference:
    """One document that differs.

    The versions are those of search_index on both sides (None: not there). `key` is what an event names it
    by, None where none can. `in_flight`: an event may still deliver it, or it changed meanwhile. `seq_no` and
    `primary_term` fence a delete of exactly the document that was read, whose `routing` it has. `error`: why
    the row makes no document, or what is wrong. `fields`: those whose content differs; `_routing` where it is
    in another shard than it belongs to, or in several.
    """

    kind: DifferenceKind
    id: str
    source_version: int | None = None
    index_version: int | None = None
    in_flight: bool = False
    seq_no: int | None = None
    primary_term: int | None = None
    error: str = ""
    key: str | None = None
    routing: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sides:
    """The rows of a source and the documents of its index; without `content` versions or presence alone."""

    database: Database
    reader: Reader
    source: DocumentSource
    content: bool = True

    def states(self, ids: Sequence[str]) -> States:
        """The rows of these ids, and their events in flight, by now."""
        return self.source.states(self.database, ids, content=self.content)

    def documents(self, ids: Sequence[str]) -> dict[str, ScannedDocument | None]:
        """Their documents, by now."""
        asked = [id_ for id_ in ids if id_]  # no engine has an empty one
        return dict(zip(asked, self.reader.get(asked, content=self.content), strict=True))


@dataclass
class Census:
    """What was read so far on each side."""

    rows: int = 0
    documents: int = 0


@dataclass(kw_only=True)
class VerifyReport(Census):
    """A comparison: how many documents differ by kind, how many more are in flight, and the first of them.

    `name` is the projection's, empty for search_index. `rows` are those of its view. `content` is False where
    versions alone were compared, or presence. `seconds` is wall clock. `with_failed_event`: how many of those
    that differ have a failed event, of which 100,000 are read at most.
    """

    name: str
    index: str
    content: bool
    differences: int = 0
    by_kind: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, DifferenceKind), 0))
    in_flight: int = 0
    seconds: float = 0.0
    first: list[Difference] = field(default_factory=list)
    with_failed_event: int = 0
