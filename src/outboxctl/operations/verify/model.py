"""What a comparison returns: how a document differs, and how much was compared."""

from dataclasses import dataclass, field
from enum import StrEnum


class DifferenceKind(StrEnum):
    """How a document differs from its row, or from its row of the view; one word each."""

    MISSING = "missing"  # a row without a document
    EXTRA = "extra"  # a document without a row
    STALE = "stale"  # the document is older than the row
    AHEAD = "ahead"  # the document is newer than the row: ordinary events cannot reach it
    ALTERED = "altered"  # of the same version, with another content
    DIFFERENT = "different"  # of a declared projection: another content
    UNREADABLE = "unreadable"  # PostgreSQL cannot make the row's document: whether it differs is not known
    UNREACHED = "unreached"  # a row of the view whose key no row of the root has: no change leads to it
    UNCOUNTED = "uncounted"  # as many rows as documents there are not, though none of them differs


# Of search_index `ahead` and `altered` need a higher version, too; the others need a person.
SENT_AGAIN = frozenset(
    {DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.STALE, DifferenceKind.DIFFERENT}
)
MENDED_BY_EVENTS = SENT_AGAIN | {DifferenceKind.AHEAD, DifferenceKind.ALTERED}


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


@dataclass
class Census:
    """What was read so far on each side."""

    rows: int = 0
    documents: int = 0


@dataclass(frozen=True)
class VerifyReport:
    """A comparison: how many documents differ by kind, how many more are in flight, and the first of them.

    `name` is the projection's, empty for search_index. `rows` are those of its view. `content` is False where
    versions alone were compared, or presence. `seconds` is wall clock. `with_failed_event`: how many of those
    that differ have a failed event, of which 100,000 are read at most.
    """

    name: str
    index: str
    content: bool
    rows: int
    documents: int
    differences: int
    by_kind: dict[str, int]
    in_flight: int
    seconds: float
    first: list[Difference] = field(default_factory=list)
    with_failed_event: int = 0
