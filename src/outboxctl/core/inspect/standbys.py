"""Synchronous standbys: how many a COMMIT waits for, and how many are there."""

import re
from dataclasses import dataclass

from outboxctl.core.sql import Connection, text

# To a role without pg_read_all_stats each standby's state is NULL: such a one counts as there.
STANDBYS = text("""
SELECT current_setting('synchronous_standby_names') AS names, (
    SELECT count(*) FROM pg_stat_replication WHERE coalesce(sync_state, 'sync') IN ('sync', 'quorum')
)::int AS there
""")
# `2 (a, b)`, `FIRST 2 (a, b)`, `ANY 2 (a, b)`; a mere list is one of its names.
NUMBER = re.compile(r"\s*(?:(?:first|any)\s+)?(\d+)\s*\(", re.I)


@dataclass(frozen=True)
class SynchronousStandbys:
    """`names` is the server's synchronous_standby_names, `needed` and `there` are numbers of standbys."""

    names: str
    needed: int
    there: int

    @property
    def missing(self) -> int:
        """For how many each COMMIT waits until they are back."""
        return max(0, self.needed - self.there)


def synchronous_standbys(connection: Connection) -> SynchronousStandbys:
    """Those of the server of this connection."""
    names, there = connection.execute(STANDBYS).one()
    return SynchronousStandbys(names, needed(names), there)


def needed(names: str) -> int:
    """How many standbys a value of synchronous_standby_names asks for."""
    if not names.strip():
        return 0
    match = NUMBER.match(names)
    return int(match[1]) if match else 1
