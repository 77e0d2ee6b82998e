"""Where a lab runs: what it gets of it, and our own services as such a place."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from outboxctl.core.database import Database
from outboxctl.core.schema import migrations, namespaces
from outboxctl.drills import services
from outboxctl.drills.labs.model import Need
from outboxctl.drills.labs.namespace import Namespace
from outboxctl.drills.scratch.settings import environment, fixed
from outboxctl.drills.services.model import SearchWish, Service, Services, silent
from outboxctl.settings import Settings, env_names
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.open import connect

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.services.model import Say

MAKING_SECONDS = 60.0  # for an index: a lease, which the client would go by, may be a second long


class Place(Protocol):
    """Where labs run."""

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """What this lab needs and the place has not."""

    def namespace(self, lab: "type[Lab]") -> AbstractContextManager[Namespace]:
        """Tables and an index for one lab, gone when the block ends. Raises OutboxctlError."""

    def versions(self) -> dict[str, str]:
        """What runs here, by role (`postgres`, `search`)."""


class OwnPlace:
    """Services of our own in a run's folder, started when the first lab asks; some labs get their own.

    `overrides` are environment names and values that stand over every lab's settings.
    """

    def __init__(
        self, folder: Path, search: SearchWish, overrides: Mapping[str, str], say: "Say" = silent
    ) -> None:
        self._folder, self._search, self._overrides, self._say = folder, search, overrides, say
        self._shared: Services | None = None
        self._starting, self._migrating = Lock(), Lock()
        self._templates: dict[str, str] = {}  # by server

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """Only a real engine can be missing here."""
        imitated = self._both().search.kind == "noida"
        return [Need.REAL_ENGINE] if imitated and Need.REAL_ENGINE in lab.needs else []

    def versions(self) -> dict[str, str]:
        """Kinds and versions of the shared services."""
        both = self._both()
        return {each.role: f"{each.kind} {each.version}" for each in (both.postgres, both.search)}

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A database and an index; the services end with the folder."""
        both, own = self._servers(lab)
        name = lab.name.replace("-", "_")
        url = namespaces.create_database(both.postgres.url, f"lab_{name}", like=self._template(both.postgres))
        try:
            yield self._prepared(lab, url, both.search, own)
        finally:
            namespaces.drop_database(both.postgres.url, url)

    def _prepared(self, lab: "type[Lab]", url: str, search: Service, own: Path | None) -> Namespace:
        ends = {"DATABASE_URL": url, "ELASTIC_URL": search.url, "ELASTIC_INDEX": f"lab-{lab.name}"}
        shown = {**lab.settings, **self._overrides}
        named = {**shown, **ends}
        settings = fixed(by_field(named))
        with closing(connect(settings, timeout=MAKING_SECONDS)) as client:
            index_setup.ensure(client, settings.elastic_index)
        base = environment({}) | named
        return Namespace(settings, search.url, self._folder, base, shown, own, self._overrides)

    def _servers(self, lab: "type[Lab]") -> tuple[Services, Path | None]:
        both = self._both()
        asked = lab.needs | lab.wants
        if not {Need.OWN_ENGINE, Need.OWN_DATABASE} & asked:
            return both, None
        state = self._folder / lab.name
        if Need.OWN_ENGINE in asked:
            engine = services.start_search(state, search=self._search, fresh=True)
            return Services(both.postgres, engine), state
        # Not `fast`: a server that is to be killed must keep what it has committed.
        return Services(services.start_postgres(state, fresh=True), both.search), state

    def _template(self, postgres: Service) -> str:
        """A migrated database to copy from: quicker than migrating each, and alembic takes one at a time."""
        with self._migrating:
            if postgres.url not in self._templates:
                url = namespaces.create_database(postgres.url, "lab_template")
                with closing(Database(url)) as database:
                    migrations.upgrade(database, "test")
                self._templates[postgres.url] = url
            return self._templates[postgres.url]

    def _both(self) -> Services:
        with self._starting:
            if self._shared is None:
                self._shared = services.up(
                    self._folder, search=self._search, fresh_ports=True, fast=True, say=self._say
                )
            return self._shared


def by_field(named: Mapping[str, str]) -> dict[str, str]:
    """Settings by field name, from environment names; those that are no settings are left out."""
    fields = {name: field for field in Settings.model_fields for name in env_names(field)}
    return {fields[name]: value for name, value in named.items() if name in fields}
