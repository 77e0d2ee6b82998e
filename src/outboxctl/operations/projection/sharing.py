"""Several projections in one index, told apart by the prefixes of their ids: its body is that of all."""

from collections.abc import Collection, Sequence
from typing import Any

from outboxctl.core.projections.fields import fields
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import mapping
from outboxctl.operations.projection.resolved import Planned
from outboxctl.sink.engines import DENSE

ALIKE = "declare the field alike in both mappings (one file for both, say), or name the columns differently"


def share(connection: Connection, planned: Sequence[Planned], before: Collection[Projection]) -> None:
    """Give each the body of its index: with what others need that have it, planned or in force already.

    Raises UsageError with both places where two of them need one field to be different things.
    """
    names = {each.projection.name for each in planned}
    index = {each.projection.index for each in planned}
    # Of one declaration for several schemas one stands for all: the others' fields are in the index already.
    families = {each.projection.family for each in planned} - {""}
    kept = [
        each
        for each in before
        if each.name not in names and each.index in index and each.family not in families
    ]
    places = [f"the projection {each.name}, in force" for each in kept]
    engine = next((each.vectors for each in planned), DENSE)
    bodies = [mapping.in_force(fields(connection, each.document), each, engine) for each in kept]
    known = [
        *zip(kept, places, bodies, strict=True),
        *((each.projection, str(each.declaration.place), each.body) for each in planned),
    ]
    for each in planned:
        own = each.projection
        others = [one for one in known if one[0].index == own.index and one[0].name != own.name]
        for _, place, needed in others:
            _check(each, needed, place)
        each.shares = [other.name for other, _, _ in others]
        each.whole = mapping.together(each.body, *(needed for _, _, needed in others))


def _check(planned: Planned, needed: dict[str, Any], place: str) -> None:
    try:
        mapping.together(planned.body, needed)
    except UsageError as error:
        what = f"{error} in {place}, which has the same index"
        planned.declaration.place.at("mapping").fail(what, ALIKE)
