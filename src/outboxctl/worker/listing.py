"""Listing the ids of an index for the event that stands for every document of a projection."""

from collections.abc import Callable

from outboxctl.core.database import Database
from outboxctl.core.projections import follow_keys
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.schema.encoding import stored
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.projection import Projection, is_hash
from outboxctl.sink.delivery.result import IndexedSink, Place


class ListingError(Exception):
    """The ids of an index cannot be read."""


class Listing:
    """The keys that an index has and the view has not, a page after the other."""

    def __init__(self, database: Database, sink_of: Callable[[Projection], IndexedSink]) -> None:
        self._database, self._sink_of = database, sink_of

    def page(
        self, projection: Projection, event: FollowEvent, seconds: float
    ) -> tuple[list[str], Place | None]:
        """The keys in half a page of ids that the view has no row for, and the next place; None at the end.

        The others come with the rows of the view. A row that vanishes until then has an event of its own.
        Raises ListingError, and ReadRefusedError where the view cannot be read in at most `seconds`.
        """
        try:
            found, place = self._sink_of(projection).ids(event.cursor.get("index"), HALF)
        except OutboxctlError as error:
            raise ListingError(f"the index {projection.index} cannot be listed: {error}") from error
        known = [id_ for id_ in found if not is_hash(id_)]  # of a key that is not known: `verify --repair`
        return self._without_row(projection, known, seconds), place

    def _without_row(self, projection: Projection, keys: list[str], seconds: float) -> list[str]:
        """All of them where one is no key of the projection: the event of that one fails, and of no other.

        No event can name an id that PostgreSQL cannot hold as a text: `verify --repair` deletes its document.
        """
        try:
            return self._looked_up(projection, keys, seconds)
        except ValueError:
            return keys
        except ReadRefusedError as error:
            if not error.late:
                self._looked_up(projection, [], seconds)
            return keys

    def _looked_up(self, projection: Projection, keys: list[str], seconds: float) -> list[str]:
        with self._database.begin() as connection:
            return follow_keys.without_row(connection, projection, stored(connection, keys), seconds=seconds)
