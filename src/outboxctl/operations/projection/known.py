"""Projections by name, the built-in one among them."""

from collections.abc import Callable
from difflib import get_close_matches

from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource, unused
from outboxctl.core.projections import in_force
from outboxctl.core.projections.changes import outbox_schema
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, built_in


def named(connection: Connection, name: str, index: str = "") -> Projection:
    """The projection of this name. Raises as `chosen`, and UsageError where it stands for several."""
    found = chosen(connection, name, index)
    if len(found) == 1:
        return found[0]
    each = brief(", ".join(each.name for each in found), 300)
    raise UsageError(f"{name} stands for {len(found)} projections", hint=f"name one: {each}")


def chosen(connection: Connection, name: str, index: str = "") -> list[Projection]:
    """The projections that a name chooses: that one, or those of a declaration for several schemas.

    With `index`, that of the built-in projection, also that one. `NAME:VALUE` is the part of a projection
    whose documents have this value of the column that chooses their index. UsageError where none is in force.
    """
    name, _, value = name.partition(":")
    if index and name == PROJECTION:
        return [built_in(index, outbox_schema(connection))]
    known = in_force.read(connection)
    if found := [each for each in known if name in (each.name, each.family)]:
        return [_part(each, value) for each in found] if value else found
    names = [*dict.fromkeys(each.family or each.name for each in known)]
    near = get_close_matches(name, [*names, *(each.name for each in known)], n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    hint = f"{meant}in force: {brief(', '.join(names) or 'none', 500)}"
    raise UsageError(f"no projection {brief(repr(name), 80)} is in force", hint=hint)


def _part(projection: Projection, value: str) -> Projection:
    try:
        if projection.parted:
            return projection.of(value)
    except ValueError as error:
        raise UsageError(str(error)) from None
    raise UsageError(f"{projection.name} has one index", hint=f"name it {projection.name}, without `:`")


def source_of(projection: Projection, tell: Callable[[str], object] = lambda _: None) -> DocumentSource:
    """Where its documents are read; `tell` as `DocumentSource` has it."""
    return DocumentSource(projection, tell) if projection.name else TableSource(projection)


def sharing(connection: Connection, projection: Projection) -> list[Projection]:
    """What is in force for the index of a projection, in the order of names; the built-in one has its own."""
    if not projection.name:
        return [projection]
    known, value = in_force.read(connection), projection.value
    if value:  # each part has its own
        known = [each.of(value) for each in known if each.name == projection.name and each.parted]
    found = [each for each in known if each.index == projection.index]
    return sorted(found, key=lambda each: each.name)


def search_index_unused(connection: Connection) -> bool:
    """Whether projections are in force, and search_index has neither a row nor an event that is not done.

    Without an index, too, nobody uses search_index: there is nothing to compare, and no index is missing.
    """
    return bool(in_force.names(connection)) and unused(connection)
