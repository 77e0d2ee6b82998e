"""What a comparison of a projection returns: how a document differs, and how much was compared."""

from dataclasses import dataclass
from enum import StrEnum


class ProjectedKind(StrEnum):
    """How a document differs from its row of the view; one word each."""

    MISSING = "missing"  # a row without a document
    EXTRA = "extra"  # a document without a row
    DIFFERENT = "different"  # another content
    UNREADABLE = "unreadable"  # no document can be made of the row: whether one differs is not known
    UNREACHED = "unreached"  # a row of the view whose key no row of the root has: no change leads to it
    UNCOUNTED = "uncounted"  # as many rows as documents there are not, though none of them differs


MENDED_BY_EVENTS = frozenset({ProjectedKind.MISSING, ProjectedKind.EXTRA, ProjectedKind.DIFFERENT})


@dataclass(frozen=True)
class ProjectedDifference:
    """One document that differs; `key` is None where its id is no key of the projection, or a hash.

    `in_flight`: an event may still deliver it, or it changed meanwhile. `seq_no` and `primary_term` fence a
    delete of exactly the document that was read. `error`: why the row makes no document, or what is
    wrong. `fields`: those whose content differs; `_routing` where it is in another shard than it belongs to,
    or in several. `routing` is that of the document which was read.
    """

    kind: ProjectedKind
    id: str
    key: str | None
    in_flight: bool = False
    seq_no: int | None = None
    primary_term: int | None = None
    error: str = ""
    routing: str = ""
    fields: tuple[str, ...] = ()
