"""What a comparison returns: how an entity differs, and how much was compared."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from outboxctl.core.documents.entities import Key
from outboxctl.core.produce import MAX_TYPE
from outboxctl.domain.printable import SURROGATE


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


# Of a declared projection; the others need a person.
MENDED_BY_EVENTS = frozenset({DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.DIFFERENT})


@dataclass(frozen=True)
class Difference:
    """One document that differs.

    The versions are those of search_index on both sides (None: not there), `key` is that of a declared
    projection, None where its id is no key, or a hash. `in_flight`: an event may still deliver it, or it
    changed meanwhile. `seq_no` and `primary_term` fence a delete of exactly the document that was read, whose
    `routing` it has. `error`: why the row makes no document, or what is wrong. `fields`: those whose content
    differs; `_routing` where it is in another shard than it belongs to, or in several.
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

    @property
    def target(self) -> Key | None:
        """The entity for an event; None where no event can name it."""
        key = key_of(self.id)
        return key if key and len(key.entity_type) <= MAX_TYPE and is_utf8(self.id) else None


@dataclass
class Census:
    """What was read so far on each side."""

    rows: int = 0
    documents: int = 0

    def add(self, other: "Census") -> None:
        """Add the counts of another one."""
        self.rows += other.rows
        self.documents += other.documents


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
    first: list[Difference]
    with_failed_event: int = 0


def key_of(id_: str) -> Key | None:
    """The entity that a document's id names: `type:uuid` as a worker would write it, else None."""
    kind, colon, entity = id_.rpartition(":")
    try:
        usual = bool(colon) and str(UUID(entity)) == entity
    except ValueError:
        return None
    return Key(kind, entity) if usual and "\x00" not in kind else None


def is_utf8(text: str) -> bool:
    """Whether the text can be sent as UTF-8: a database may hold bytes that are none."""
    return SURROGATE.search(text) is None
