"""Reading documents whose addresses are kept: each is open before it is read (core/delivery/places.py).

An address that a key may have, and has not, gets a delete, unless it is known to hold nothing, or the same
snapshot has the document of another key there. Then nothing is sent, and the place stays until the document
of that key, its owner, is confirmed there, or is refused, and what was there before it is deleted.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.delivery import places
from outboxctl.core.delivery.places import DocumentPlace, PlaceWrite
from outboxctl.core.projections import pages
from outboxctl.core.projections.document_sql import LEFT_OUT
from outboxctl.core.projections.documents import Addressed, Documents, Opening
from outboxctl.core.refused_reads import ReadRefusedError, by_halves
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection

TRIES = 5  # readings: one shows the addresses, one the documents; others where keys change meanwhile
TWO = "{id} is the _id of {one} and of {other}: a document has an _id of its own"
NO_ID = "its {column} is {what}, and is its _id"
TOO_LONG = "of more than {bytes} bytes"


@dataclass(slots=True)
class Sent:
    """What is sent of a key besides the document `at` its place: a delete to each of the places `left`.

    `writes` are the places to settle once they have confirmed that, `freed` those that nothing is sent to.
    `replaced`: places at the same address, of other keys whose document may still be there; the document
    replaces it, and they are settled with it.
    `owners`: other keys that have an address which this one has left, to be looked at again.
    `waits`: why nothing can be sent now.
    """

    at: DocumentPlace | None = None
    left: list[DocumentPlace] = field(default_factory=list)
    writes: dict[DocumentPlace, PlaceWrite] = field(default_factory=dict)
    freed: list[PlaceWrite] = field(default_factory=list)
    replaced: list[PlaceWrite] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    unchanged: bool = False
    waits: str = ""


def read(
    database: Database,
    projection: Projection,
    keys: Sequence[str],
    holds: str,
    documents: Callable[..., Documents],
    *,
    make: Callable[[str], str] = lambda _: "",
) -> Documents:
    """What `documents` reads of these keys, and what is sent of each (`Documents.sent`).

    `make` is called with each index before a place in it is opened, and returns why it cannot be used.
    Texts are LEFT_OUT where addresses change again and again.
    """
    opening, refused = Opening(str(uuid4()), holds), dict[str, str]()
    others, unknown = list[str](), set[str]()
    for _ in range(TRIES):
        try:
            found = documents([*keys, *others], opening=opening)
        except ReadRefusedError as error:
            if error.late or not (raising := _raising(documents, others)):
                raise
            unknown |= raising
            others = [key for key in others if key not in unknown]
            continue
        looked = [*keys, *others]
        reading = PlacedReading(
            projection, opening.token, looked, found, refused, unknown=unknown, sent=len(keys)
        )
        sent = [reading.of(n) for n in range(len(keys))]
        if not (reading.closed or reading.unread):
            return _of(found, len(keys), sent, reading.unusable)
        aliases = sorted({each.alias for each in reading.closed})
        refused |= {alias: why for alias in aliases if (why := make(alias))}
        if wanted := dict.fromkeys(each for each in reading.closed if each.alias not in refused):
            with database.begin() as connection:
                places.open_(connection, wanted, opening.token, shared=projection.moves)
        others += dict.fromkeys(reading.unread)
    return Documents(found.version, [LEFT_OUT] * len(keys), sent=[Sent()] * len(keys))


def _raising(documents: Callable[..., Documents], others: Sequence[str]) -> set[str]:
    """Those of these keys that cannot be read: that is no fault of a neighbour's."""
    parts = by_halves([others] if others else [], documents)
    return {key for some, found in parts if isinstance(found, ReadRefusedError) for key in some}


def named(projection: Projection, keys: Sequence[str], found: Documents) -> Documents:
    """What was read of these keys, nothing of which is sent, with the `_id` of each."""
    reading = PlacedReading(projection, "", keys, found)
    sent = [replace(reading.of(n), left=[]) for n in range(len(keys))]
    return _of(found, len(keys), sent, reading.unusable)


def _of(found: Documents, count: int, sent: Sequence[Sent], why: Mapping[int, str]) -> Documents:
    unusable = {n: text for n, text in found.unusable.items() if n < count} | dict(why)
    texts = [None if n in unusable else text for n, text in enumerate(found.texts[:count])]
    indexes = found.indexes[:count]
    return Documents(found.version, texts, found.routings[:count], unusable, indexes=indexes, sent=sent)


class PlacedReading:
    """One reading: what it says of keys, and which places it found `closed`, which other keys `unread`.

    Where the documents of the `unknown` keys are cannot be read: what may be theirs is left as it is. The
    first `sent` keys have events: the others are looked at for them.
    """

    def __init__(
        self,
        projection: Projection,
        token: str,
        keys: Sequence[str],
        found: Documents,
        refused: Mapping[str, str] = MappingProxyType({}),
        *,
        unknown: Collection[str] = (),
        sent: int = 0,
    ) -> None:
        self._refused, self._unknown, self._sent = refused, unknown, {*keys[:sent]}
        self._without = {keys[n] for n in found.unusable}
        self._projection, self._token, self._keys, self._found = projection, token, keys, found
        self._at = dict(zip(keys, found.at, strict=True))
        self._indexes = dict(zip(keys, found.indexes, strict=True)) if found.indexes else {}
        self.closed, self.unread = list[DocumentPlace](), list[str]()
        self.unusable = dict[int, str]()

    def of(self, n: int) -> Sent:
        """What is sent of a key, by its place among them."""
        key, at = self._keys[n], self._found.at[n]
        if at.unchanged or n in self._found.unusable:
            return Sent(unchanged=at.unchanged)
        here = self._place(key, at)
        if at.there and (why := self._refusal(here, at)):
            self.unusable[n] = why
            return Sent()
        if at.there and here.alias in self._refused:
            return Sent(waits=f"{here.alias}: {self._refused[here.alias]}")
        sent = Sent(here if at.there else None)
        if at.there:
            self._require_open(here, open_=at.open)
            if at.content:
                sent.writes[here] = PlaceWrite(here, self._token, at.content)
            known = (key for key in _others(here, at) if key not in self._unknown)
            sent.replaced += (
                PlaceWrite(here._replace(key=key), self._token, at.gone, left=True) for key in known
            )
        self._leave(here, at, sent)
        if not (at.there or at.places or self._projection.moves):
            sent.left.append(here)  # a document of before its places were kept
        return sent

    def _leave(self, here: DocumentPlace, at: Addressed, sent: Sent) -> None:
        for alias, id_, opened, others, gone in at.places or ():
            place = here._replace(alias=alias, id=id_)
            if at.there and place == here:
                continue
            if gone:
                if opened:
                    sent.freed.append(PlaceWrite(place, opened, at.gone, left=True))
            else:
                self._leave_one(place, opened, others or (), at.gone, sent)

    def _leave_one(
        self, place: DocumentPlace, opened: str | None, others: Sequence[str], gone: str | None, sent: Sent
    ) -> None:
        """A delete is sent there, unless the document is of another key, or may be."""
        owner = self._owner(place, others)
        if owner is not None:
            if opened:  # else the owner's document was confirmed there
                sent.owners += {owner} - self._sent
            return
        of_unknown = any(key in self._unknown for key in others)  # whose own event deletes it
        of_unread = not opened and not {*self.unread}.isdisjoint(others)
        if not (of_unknown or of_unread):
            self._require_open(place, open_=opened == self._token)
            sent.left.append(place)
            sent.writes[place] = PlaceWrite(place, self._token, gone, left=True)

    def _owner(self, place: DocumentPlace, others: Sequence[str]) -> str | None:
        """The key whose document is there."""
        known = {*self._at, *self._unknown}
        others = [key for key in others if pages.plausible(self._projection, key)]  # its type has changed
        self.unread += [key for key in others if key not in known]
        return next((key for key in others if self._is_at(key, place)), None)

    def _is_at(self, key: str, place: DocumentPlace) -> bool:
        at = None if key in self._without else self._at.get(key)
        return at is not None and at.there and self._place(key, at) == place._replace(key=key)

    def _require_open(self, place: DocumentPlace, *, open_: bool) -> None:
        if not open_:
            self.closed.append(place)

    def _place(self, key: str, at: Addressed) -> DocumentPlace:
        """Where the document of a key is in this snapshot."""
        projection = self._projection
        id_ = projection.id_of(key if projection.id is None else at.id or "")
        return DocumentPlace(projection.name, key, self._indexes.get(key, projection.index), id_)

    def _refusal(self, here: DocumentPlace, at: Addressed) -> str:
        """Why a row can have no document; empty where it can."""
        if self._projection.id is None:
            return ""
        column, longest = self._projection.id.name, self._projection.longest_key
        if not at.id:
            return NO_ID.format(column=column, what="NULL" if at.id is None else "empty")
        if len(at.id.encode("utf-8", "surrogateescape")) > longest:
            return NO_ID.format(column=column, what=TOO_LONG.format(bytes=longest))
        owner = self._owner(here, _others(here, at))
        return brief(TWO.format(id=here.id, one=here.key, other=owner)) if owner is not None else ""


def _others(here: DocumentPlace, at: Addressed) -> Sequence[str]:
    """The other keys that the document at this place may be of."""
    others = [each for *there, _, each, _ in at.places or () if there == [here.alias, here.id]]
    return others[0] or () if others else ()
