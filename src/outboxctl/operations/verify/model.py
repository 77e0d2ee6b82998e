"""What a comparison returns: how an entity differs, and how much was compared."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from outboxctl.core.documents.entities import Key
from outboxctl.core.produce import MAX_TYPE
from outboxctl.domain.printable import SURROGATE


class DifferenceKind(StrEnum):
    """How an entity differs; one word each."""

    MISSING = "missing"  # a row without a document
    EXTRA = "extra"  # a document without a row
    STALE = "stale"  # the document is older than the row
    AHEAD = "ahead"  # the document is newer than the row: ordinary events cannot reach it
    ALTERED = "altered"  # of the same version, with another content
    UNREADABLE = "unreadable"  # PostgreSQL cannot make the row's document: whether it differs is not known


@dataclass(frozen=True)
class Difference:
    """One entity that differs: its document's id, and the versions on both sides (None: not there).

    `in_flight`: an event for it was in flight, or its row changed meanwhile, so a worker may deliver it.
    `seq_no` and `primary_term` fence a delete of exactly the document that was read. `error`: why its row
    cannot be read.
    """

    kind: DifferenceKind
    id: str
    source_version: int | None
    index_version: int | None
    in_flight: bool = False
    seq_no: int | None = None
    primary_term: int | None = None
    error: str = ""

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
    first: list[Any]
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
