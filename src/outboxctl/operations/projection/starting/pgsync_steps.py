"""How a node of pgsync's schema file is tied to the one above: by foreign keys, or by named columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import Step
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Json

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

EXAMPLE = '"foreign_key": {"child": […], "parent": […]}'


@dataclass(frozen=True)
class Columns:
    """`relationship.foreign_key`: columns of the lower table, equal to those of the upper one."""

    child: tuple[str, ...]
    parent: tuple[str, ...]

    def fits(self, step: Step) -> bool:
        """Whether a foreign key is meant, in whichever of both tables it is."""
        pairs = {*zip(step.columns, step.their_columns, strict=True)}
        return pairs in (
            {*zip(self.child, self.parent, strict=True)},
            {*zip(self.parent, self.child, strict=True)},
        )


@dataclass(frozen=True)
class Ties:
    """Finds the steps from a node's table to the one above, by these foreign keys."""

    connection: "Connection"
    keys: Sequence[Step]

    def direct(self, place: Place, relationship: Json, here: Relation, there: Relation) -> tuple[Step, ...]:
        """One step. UsageError where not one foreign key is between both tables, and none is named."""
        if not (named := _columns(place, relationship)):
            return (self._only(place, self._between(here, there), here, there),)
        for table, names in ((here, named.child), (there, named.parent)):
            known = [each.name for each in fields(self.connection, table)]
            for name in names:
                followed.check_column(place.at("foreign_key"), name, table, known)
        return (Step(here, named.child, there, named.parent),)

    def through(
        self, place: Place, relationship: Json, here: Relation, link: Relation, there: Relation
    ) -> tuple[Step, ...]:
        """Two steps; `foreign_key` says which is meant where one of both has several.

        Raises UsageError where that does not leave one foreign key for each.
        """
        named, pairs = _columns(place, relationship), ((here, link), (link, there))
        found = [self._between(*pair) for pair in pairs]
        if named:
            meant = [[step for step in steps if named.fits(step)] for steps in found]
            if not any(meant):
                hint = f"it is for a foreign key of {link} to {here} or {there}"
                place.at("foreign_key").fail("no such foreign key is there", hint)
            found = [fitting or steps for fitting, steps in zip(meant, found, strict=True)]
        return tuple(self._only(place, steps, *pair) for steps, pair in zip(found, pairs, strict=True))

    def _between(self, here: Relation, there: Relation) -> list[Step]:
        down = [key for key in self.keys if (key.here, key.there) == (here, there)]
        up = [key.back() for key in self.keys if (key.here, key.there) == (there, here) and here != there]
        return down + up

    def _only(self, place: Place, found: Sequence[Step], here: Relation, there: Relation) -> Step:
        if len(found) != 1:
            listed = "; ".join(f"{each.here} ({', '.join(each.columns)})" for each in found)
            what = f"{len(found) or 'no'} foreign keys are between {here} and {there}"
            place.fail(f"{what}{f': {listed}' if found else ''}", f"name the columns: {EXAMPLE}")
        return found[0]


def _columns(place: Place, relationship: Json) -> Columns | None:
    given, at = relationship.get("foreign_key"), place.at("foreign_key")
    if not given:
        return None
    if not isinstance(given, dict):
        at.fail(f"it must be an object, not {shown(given)}")
    child, parent = (at.texts(_lists(given), part, several=False) for part in ("child", "parent"))
    if len(child) != len(parent) or not child:
        at.fail("`child` and `parent` must name as many columns each", EXAMPLE)
    return Columns(child, parent)


def _lists(given: Json) -> Json:
    """`{"child": {"shop.reviews": ["product_id"]}}`, which pgsync also takes, without the tables' names."""
    return {part: _only_list(value) for part, value in given.items()}


def _only_list(value: Any) -> Any:
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value
