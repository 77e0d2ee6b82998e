"""What the full-screen view reads: the reports of `status` and `failed list`, in read-only transactions."""

from dataclasses import dataclass
from time import monotonic

from outboxctl.cli.guards import reading
from outboxctl.core.operator import failed
from outboxctl.core.operator.failed import Event, FailedRow, Group, event_by_id
from outboxctl.core.operator.selection import Selection
from outboxctl.core.stats import snapshot
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.settings import Settings

LONGEST = 15.0  # seconds for one read: a database behind a dead link never answers
SHARE = 10  # of this many seconds at most one goes into grouping failures
ROWS = 200  # of a group


@dataclass(frozen=True)
class TopSnapshot:
    """The state of the pipeline at one moment, and the causes of the failures."""

    state: PipelineStatus
    groups: list[Group]


class Feed:
    """Reads one database; each read opens a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._groups: list[Group] = []
        self._due = 0.0

    def snapshot(self) -> TopSnapshot:
        """What the first screen shows; grouping errors may take a second, so it is done seldom."""
        with reading(self._settings, longest=LONGEST) as connection:
            longest = self._settings.max_processing_seconds
            state = snapshot.pipeline_status(connection, max_processing=longest)
            began = monotonic()
            if began >= self._due:
                self._groups = failed.failed_groups(connection, Selection())
                self._due = monotonic() + SHARE * (monotonic() - began)
        return TopSnapshot(state, self._groups)

    def rows(self, group: Group) -> list[FailedRow]:
        """The oldest events of a group."""
        with reading(self._settings, longest=LONGEST) as connection:
            return failed.failed_rows(connection, Selection(fingerprint=group.fingerprint, limit=ROWS))

    def event(self, id_: str) -> Event | None:
        """One event in full, and its source row."""
        with reading(self._settings, longest=LONGEST) as connection:
            return event_by_id(connection, id_)
