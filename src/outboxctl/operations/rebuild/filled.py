"""The rows as a fill has read them, for the comparison at the end, where nothing was written since.

Else the comparison reads them again: no event has to tell what has changed (docs/adr/0013).
"""

from dataclasses import dataclass, field

from outboxctl.core.documents import unwritten
from outboxctl.core.documents.rows import SourcePage
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.unwritten import WriteMark
from outboxctl.core.sql import Connection
from outboxctl.operations.verify.rows_side import RowsSide, possible


@dataclass
class FilledRows:
    """What was read, since when, and the numbers of the rebuild's own transactions."""

    side: RowsSide | None = None
    before: WriteMark | None = None
    own: set[int] = field(default_factory=set)

    def begin(self, connection: Connection, source: DocumentSource) -> None:
        """For a fill that begins with the first row, unless the comparison needs a reading of its own."""
        content = not source.versioned
        if possible(source, content=content):
            self.before, self.side = unwritten.mark(connection), RowsSide(source, content=content)

    def add(self, page: SourcePage) -> None:
        """Add what the fill has read."""
        if side := self.side:
            side.add_sent(page)

    def written(self, connection: Connection) -> None:
        """Note a transaction of the rebuild that has written."""
        self.own.add(unwritten.number(connection))
        self.still(connection)

    def still(self, connection: Connection) -> RowsSide | None:
        """The rows where they are as they were read; where they may not be, they are given up."""
        if self.before and not unwritten.unwritten(self.before, unwritten.mark(connection), self.own):
            self.side = None
        return self.side
