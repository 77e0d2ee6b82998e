"""What is in doubt, read again by id on both sides, and judged by that alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.core.documents.entities import EntityStates
from outboxctl.operations.verify.judge import differs, judge
from outboxctl.operations.verify.model import Difference, DifferenceKind, key_of, sayable
from outboxctl.sink.index.scan import Reader, ScannedDocument


class Doubt(NamedTuple):
    """A document's id; `misplaced`: it was found where the id does not belong."""

    id: str
    misplaced: bool = False


class Review:
    """The second reading of one comparison."""

    def __init__(self, database: Database, reader: Reader, *, content: bool) -> None:
        self._database, self._reader, self._content = database, reader, content
        self._strange: set[int] = set()  # hashes of misplaced ids met so far: two ranges may hold one

    def of(self, doubts: Sequence[Doubt]) -> Iterator[Difference]:
        """Those of the doubts that do differ, each told once in the whole comparison."""
        yield from (Difference(DifferenceKind.MISSING, d.id, None, None) for d in doubts if not sayable(d.id))
        doubts = [doubt for doubt in doubts if sayable(doubt.id)]
        ids = [doubt.id for doubt in doubts]
        before = self._state(ids)
        documents = dict(zip(ids, self._reader.get(ids, content=self._content), strict=True))
        after = self._state(_unsettled(before, documents))
        for doubt in doubts:
            found = judge(doubt.id, before, documents[doubt.id], after)
            if found and not self._reported_elsewhere(doubt, before):
                yield found

    def _reported_elsewhere(self, doubt: Doubt, state: EntityStates) -> bool:
        """Whether somebody else tells of this one: the bucket where its row is, or we did already."""
        if not doubt.misplaced:
            return False
        known = hash(doubt.id) in self._strange or doubt.id in state.rows
        self._strange.add(hash(doubt.id))
        return known

    def _state(self, ids: Iterable[str]) -> EntityStates:
        keys = [key for key in map(key_of, ids) if key]
        if not keys:
            return EntityStates({}, set())
        with self._database.begin() as connection:
            return entities.state(connection, keys)


def _unsettled(state: EntityStates, documents: dict[str, ScannedDocument | None]) -> Iterator[str]:
    """What differs with no event under way: for the others a backlog need not be read another time."""
    for id_, document in documents.items():
        if id_ not in state.in_flight and differs(state.rows.get(id_), document):
            yield id_
