"""Each projection has an index of its own: neither by its name nor behind an alias is it another's."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.sink.index import alias

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

BUILT_IN = "the built-in projection (ELASTIC_INDEX)"
HINT = "each projection has an index of its own"


def check_names(declared: Sequence[Declaration], before: Collection[Projection], built_in: str) -> None:
    """Raise UsageError for a declared index that is that of a projection in force, or of the built-in one."""
    taken = _others(declared, before, built_in)
    for each in declared:
        if owner := taken.get(each.index):
            each.place.at("index").fail(f"{brief(each.index, 250)} is the index of {owner} already", HINT)


def check_behind(
    client: "Client", declared: Sequence[Declaration], before: Collection[Projection], built_in: str
) -> None:
    """Raise UsageError for a declared index that leads to the same one as another's name does."""
    owners = {**_others(declared, before, built_in), **{each.index: each.name for each in declared}}
    behind = alias.leads_to(client, owners)
    for each in declared:
        for other, index in alias.meeting(behind, each.index):
            name, owner = brief(each.index, 250), owners[other]
            what = f"{name} leads to {index}, which is the index of {owner} already, by {brief(other, 250)}"
            each.place.at("index").fail(what, HINT)


def _others(
    declared: Sequence[Declaration], before: Collection[Projection], built_in: str
) -> Mapping[str, str]:
    """The projections that are not declared anew, by their index."""
    names = {each.name for each in declared}
    return {**{each.index: each.name for each in before if each.name not in names}, built_in: BUILT_IN}
