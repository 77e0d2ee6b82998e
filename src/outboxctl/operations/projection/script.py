"""The SQL that `projection sql` prints: run by psql, it leaves in the database what `apply` leaves."""

from collections.abc import Sequence

from outboxctl.core.projections import changes
from outboxctl.operations.projection.plan import Planned

HEAD = """\
-- Projections: {names}. Made by `outboxctl projection sql`.
-- Safe to run again. In one transaction: psql -v ON_ERROR_STOP=1 -1 -f FILE. An index is not made by this:
-- `outboxctl projection apply` does so, and finds nothing else to do.
"""


def script(planned: Sequence[Planned], schema: str) -> str:
    """The whole script, whatever is in force already; `schema` is that of the outbox."""
    parts = [HEAD.format(names=", ".join(each.projection.name for each in planned)), changes.BEGIN]
    for each in planned:
        parts += [*each.scripts, each.declare_sql(schema, None).lstrip()]
    ends = [changes.guard_sql(schema), changes.server_sql(schema)]
    return "\n".join([*parts, *(each.lstrip() for each in ends), changes.END])
