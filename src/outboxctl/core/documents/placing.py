"""Reading documents whose addresses are kept: each is open before it is read (core/delivery/places.py).

An address that a key may have, and has not, gets a delete.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.delivery import places
from outboxctl.core.delivery.places import DocumentPlace, PlaceWrite
from outboxctl.core.projections.document_sql import LEFT_OUT
from outboxctl.core.projections.documents import Addressed, Documents, Opening
from outboxctl.domain.projection import Projection

TRIES = 5  # readings: one shows the addresses, one the documents; others where documents move meanwhile


@dataclass(slots=True)
class SendPlan:
    """What is sent of a key: its document to `target`, and a delete to each address in `delete_from`.

    `writes` are the places to settle once the index has confirmed that. `blocked_by`: why nothing can be sent
    now.
    """

    target: DocumentPlace | None = None
    delete_from: list[DocumentPlace] = field(default_factory=list)
    writes: dict[DocumentPlace, PlaceWrite] = field(default_factory=dict)
    unchanged: bool = False
    blocked_by: str = ""


def read(
    database: Database,
    projection: Projection,
    keys: Sequence[str],
    holds: str,
    documents: Callable[..., Documents],
    *,
    make: Callable[[str], str] = lambda _: "",
) -> Documents:
    """Read these keys by `documents`, and plan what is sent of each (`Documents.sent`).

    `make` is called with each index before a place in it is opened, and returns why it cannot be used.
    Texts are LEFT_OUT where addresses change again and again.
    """
    opening, refused = Opening(str(uuid4()), holds), dict[str, str]()
    for _ in range(TRIES):
        found = documents(keys, opening=opening)
        planner = AddressPlanner(projection, opening.token, refused)
        indexes = found.indexes or [projection.index] * len(keys)
        sent = [
            SendPlan(unchanged=at.unchanged)
            if at.unchanged or n in found.unusable
            else planner.plan(key, index, at)
            for n, (key, index, at) in enumerate(zip(keys, indexes, found.at, strict=True))
        ]
        if not planner.closed:
            return found._replace(sent=sent)
        aliases = sorted({each.alias for each in planner.closed})
        refused |= {alias: why for alias in aliases if (why := make(alias))}
        if wanted := dict.fromkeys(each for each in planner.closed if each.alias not in refused):
            with database.begin() as connection:
                places.open_(connection, wanted, opening.token)
    return Documents(found.version, [LEFT_OUT] * len(keys), sent=[SendPlan()] * len(keys))


@dataclass(frozen=True)
class AddressPlanner:
    """Plans what is sent of the keys of one reading; `closed` are places that have to be opened before that.

    `refused`: why an index cannot be used.
    """

    projection: Projection
    token: str
    refused: Mapping[str, str]
    closed: list[DocumentPlace] = field(default_factory=list)

    def plan(self, key: str, index: str, at: Addressed) -> SendPlan:
        """Plan what is sent of a key, whose document is in `index` if there is one."""
        here = DocumentPlace(self.projection.name, key, index, self.projection.id_of(key))
        if at.there and index in self.refused:
            return SendPlan(blocked_by=f"{index}: {self.refused[index]}")
        known = {here._replace(alias=alias, id=id_): opened for alias, id_, opened in at.places or ()}
        if not (at.there or known or self.projection.parted):
            return SendPlan(delete_from=[here])  # a document of before its places were kept
        target = here if at.there else None
        left = [place for place in known if place != target]
        self.closed.extend(place for place in filter(None, [target, *left]) if not known.get(place))
        writes = {place: PlaceWrite(place, self.token, None) for place in left}
        if at.content:
            writes[here] = PlaceWrite(here, self.token, at.content)
        return SendPlan(target, left, writes)
