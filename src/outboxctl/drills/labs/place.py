"""The servers that labs run on: services of our own, or a user's system; each lab has its namespace there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from outboxctl.core.schema import namespaces
from outboxctl.drills import services
from outboxctl.drills.faults import guest
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.scratch.settings import Namespace, fixed
from outboxctl.drills.services.model import Say, SearchWish
from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab


class LabPlace:
    """The database and the sink of `settings`, where each lab makes a schema and an index; workers run here.

    Nothing else is touched there. `home` is the folder of the workers, `overrides` are environment variables
    that replace every lab's settings, `state` is the state folder of the ledger.
    """

    def __init__(
        self,
        settings: Settings,
        home: Path,
        overrides: Mapping[str, str],
        state: Path | None = None,
    ) -> None:
        self.settings = settings
        self._home, self._overrides, self._state = home, overrides, state
        self._mark = uuid4().hex[:6]  # of this run

    @cached_property
    def versions(self) -> dict[str, str]:
        """Products and versions of both servers, by role (`postgres`, `search`). UnreachableError."""
        return guest.versions(self.settings)

    def names(self, lab: "type[Lab]") -> guest.GuestNames:
        """The names of a lab's schema and index."""
        return guest.names(f"lab-{lab.name}", self.settings.elastic_index, self._mark)

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """The schema and the index of a lab, both in the ledger while they exist."""
        settings, names = self.settings, self.names(lab)
        with Ledger(settings, self._state).holding(*guest.planned(settings, names, "a lab")):
            ends = {
                "DATABASE_URL": namespaces.in_schema(settings.require_database_url(), names.schema),
                # Without credentials: the proxy before the sink would lend them to any client of its own.
                "ELASTIC_URL": without_credentials(settings.sink_urls[0]),
                "ELASTIC_INDEX": names.index,
                **guest.sink_credentials(settings),
            }
            made = Namespace(ends, {**lab.settings, **self._overrides}, self._overrides, self._home)
            guest.furnish(made.settings, settings.environment)
            yield made


def own_place(folder: Path, search: SearchWish, overrides: Mapping[str, str], say: Say) -> LabPlace:
    """Services of our own, started in a run's folder, where they end with it."""
    both = services.up(folder, search=search, fresh_ports=True, fast=True, say=say)
    ends = {"database_url": both.postgres.url, "elastic_url": both.search.url, "elastic_index": "outbox"}
    return LabPlace(fixed(ends), folder, overrides, folder)
