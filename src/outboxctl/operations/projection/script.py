"""The SQL that `projection sql` prints: run by psql, it leaves in the database what `apply` leaves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outboxctl.core.projections import changes, trigger_users
from outboxctl.operations.projection.plan import Planned

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

HEAD = """\
-- Projections: {names}. Made by `outboxctl projection sql`.
-- Safe to run again. In one transaction: psql -v ON_ERROR_STOP=1 -1 -f FILE. An index is not made by this:
-- `outboxctl projection apply` does so, and finds nothing else to do.
"""


def script(connection: "Connection", planned: Sequence[Planned]) -> str:
    """The whole script, whatever is in force already; refused where others use its tables than did here."""
    schema, names = changes.outbox_schema(connection), [each.projection.name for each in planned]
    tables = {table for each in planned for table in each.tables}
    beside = trigger_users.beside_sql(connection, schema, names, tables)
    parts = [HEAD.format(names=", ".join(names)), changes.BEGIN, beside]
    for each in planned:
        parts += [*each.scripts, each.declare_sql(schema, None).lstrip()]
    ends = [changes.server_sql(schema)]
    return "\n".join([*parts, *(each.lstrip() for each in ends), changes.END])
