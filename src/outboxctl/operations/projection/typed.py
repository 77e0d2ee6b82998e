"""The types of a followed table's columns by which documents are found: they decide what the texts are."""

from dataclasses import replace
from typing import TYPE_CHECKING

from outboxctl.core.projections.fields import fields, parameter_types
from outboxctl.domain.projection import Follow

if TYPE_CHECKING:
    from outboxctl.core.database import Connection


def typed(connection: "Connection", follow: Follow) -> Follow:
    """The same with the types of the columns of its key, or of its parameters."""
    names = follow.key or follow.parameters
    if follow.types or not names:
        return follow
    types = parameter_types(names, fields(connection, follow.table))
    return replace(follow, types=tuple(types.values()))
