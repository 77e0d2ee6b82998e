"""A user's own system as a place for labs: a schema and an index for each, gone when it ends."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.core.schema import namespaces
from outboxctl.drills.faults import guest
from outboxctl.drills.labs.model import Need
from outboxctl.drills.labs.namespace import Namespace
from outboxctl.drills.labs.place import by_field
from outboxctl.drills.scratch.settings import environment, fixed
from outboxctl.net.urls import mask, without_credentials
from outboxctl.settings import Settings

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab

OWN = {Need.OWN_ENGINE, Need.OWN_DATABASE, Need.PRIVATE_DATABASE}


@dataclass(frozen=True)
class Planned:
    """What one lab makes in the user's system."""

    lab: "type[Lab]"
    own: guest.GuestNames


class StagingPlace:
    """The database and the sink of `settings`; workers run here, in `home`.

    `planned` is what it will make, and nothing else is touched; `mark` is at the end of each name of it.
    `overrides` are environment names and values that stand over every lab's settings.
    """

    def __init__(
        self,
        settings: Settings,
        home: Path,
        labs: "Sequence[type[Lab]]",
        overrides: Mapping[str, str],
    ) -> None:
        self._settings, self._home, self._overrides = settings, home, overrides
        self._url, self._sink = settings.require_database_url(), settings.sink_urls[0]
        self.sink = mask(self._sink)
        self._versions: dict[str, str] = {}
        self.mark = guest.new_mark()
        self.planned = [
            Planned(lab, guest.names(f"lab-{lab.name}", settings.elastic_index, self.mark)) for lab in labs
        ]

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """Servers of its own, to be stopped, are not to be had here."""
        imitated = self.versions()["search"].startswith(guest.IMITATION)
        return sorted(lab.needs & (OWN | {Need.REAL_ENGINE} if imitated else OWN))

    def versions(self) -> dict[str, str]:
        """The versions of both ends. UnreachableError where one is away."""
        if not self._versions:
            self._versions = guest.versions(self._settings)
        return self._versions

    def default_schema(self) -> str | None:
        """Where a session lands that does not honour a lab's search path; None where in no schema."""
        return namespaces.schema_of(self._url)

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A schema and an index, both in the ledger while they are there."""
        own = next(plan.own for plan in self.planned if plan.lab is lab)
        with guest.holding(self._settings, own, "a lab") as url:
            yield self._prepared(lab, url, own.index)

    def _prepared(self, lab: "type[Lab]", url: str, index: str) -> Namespace:
        shown = {**lab.settings, **self._overrides}
        # Without credentials: the proxy before the sink would lend them to whoever asks it.
        sink = without_credentials(self._sink)
        ends = {"DATABASE_URL": url, "ELASTIC_URL": sink, "ELASTIC_INDEX": index}
        given = {**shown, **ends, **guest.sink_credentials(self._settings)}
        settings = fixed(by_field(given))
        guest.furnish(settings, self._settings.environment)
        base = environment({}) | given
        return Namespace(settings, sink, self._home, base, shown, overrides=self._overrides)
