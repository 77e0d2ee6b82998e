"""Tables that are read as a whole for want of an index, and statements that make one."""

from dataclasses import dataclass

from outboxctl.domain.projection import Projection, Relation


@dataclass(frozen=True)
class MissingIndex:
    """A table that is read as a whole, what its rows are found by, and statements that make an index."""

    table: Relation
    columns: tuple[str, ...]
    sql: list[str]


@dataclass(frozen=True)
class Unindexed:
    """What reading a document reads as a whole, and what finding documents behind a changed row does."""

    projection: Projection
    reading: list[MissingIndex]
    finding: list[tuple[Relation, MissingIndex]]
