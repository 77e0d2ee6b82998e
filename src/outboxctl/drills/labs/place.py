"""The servers that labs run on: services of our own, or a user's system; each lab has its namespace there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.schema import migrations, namespaces
from outboxctl.drills import services
from outboxctl.drills.faults import guest
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.scratch.settings import Namespace
from outboxctl.drills.services.model import SearchWish, Service, Services, silent
from outboxctl.net.urls import mask, without_credentials
from outboxctl.settings import Settings
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.open import connect

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.services.model import Say

INDEX_SECONDS = 60.0  # to make an index; without it the limit would be a lab's lease, perhaps a second
IMITATION = "noida"


class OwnPlace:
    """Services of our own in a run's folder, started when first used.

    `overrides` are environment variables that replace every lab's settings.
    """

    def __init__(
        self, folder: Path, search: SearchWish, overrides: Mapping[str, str], say: "Say" = silent
    ) -> None:
        self._folder, self._search, self._overrides, self._say = folder, search, overrides, say
        self._starting = Lock()
        self._started: Services | None = None
        self._migrated: str | None = None

    def versions(self) -> dict[str, str]:
        """Kinds and versions of the services, by role (`postgres`, `search`)."""
        both = self._services()
        return {each.role: f"{each.kind} {each.version}" for each in (both.postgres, both.search)}

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A database and an index of one lab, dropped at the end. OutboxctlError."""
        postgres, search = self._services().postgres, self._services().search
        own = self._folder / lab.name if lab.own_engine else None
        if own:
            search = services.start_search(own, search=self._search, fresh=True)
        name = lab.name.replace("-", "_")
        url = namespaces.create_database(postgres.url, f"lab_{name}", like=self._template(postgres))
        ends = {"DATABASE_URL": url, "ELASTIC_URL": search.url, "ELASTIC_INDEX": f"lab-{lab.name}"}
        try:
            shown = {**lab.settings, **self._overrides}
            made = Namespace(ends, shown, self._overrides, self._folder, own)
            with closing(connect(made.settings, timeout=INDEX_SECONDS)) as client:
                index_setup.ensure(client, made.settings.elastic_index)
            yield made
        finally:
            namespaces.drop_database(postgres.url, url)

    def _template(self, postgres: Service) -> str:
        """A migrated database to copy from: quicker than migrating each, and alembic takes one at a time."""
        with self._starting:
            if self._migrated is None:
                url = namespaces.create_database(postgres.url, "lab_template")
                with closing(Database(url)) as database:
                    migrations.upgrade(database, "test")
                self._migrated = url
            return self._migrated

    def _services(self) -> Services:
        with self._starting:
            if self._started is None:
                self._started = services.up(
                    self._folder, search=self._search, fresh_ports=True, fast=True, say=self._say
                )
            return self._started


class StagingPlace:
    """A user's own system: the database and the sink of `settings`; workers run here, in `home`.

    `names` are those of the schema and the index that each lab makes there; nothing else is touched.
    `overrides` are environment variables that replace every lab's settings.
    """

    def __init__(
        self, settings: Settings, home: Path, labs: "Sequence[type[Lab]]", overrides: Mapping[str, str]
    ) -> None:
        self._settings, self._home, self._overrides = settings, home, overrides
        self._url, self._sink = settings.require_database_url(), settings.sink_urls[0]
        self.sink = mask(self._sink)
        self._versions: dict[str, str] = {}
        mark = uuid4().hex[:6]  # of this run
        self.names = {lab: guest.names(f"lab-{lab.name}", settings.elastic_index, mark) for lab in labs}

    def versions(self) -> dict[str, str]:
        """The versions of both servers. UnreachableError."""
        if not self._versions:
            self._versions = guest.versions(self._settings)
        return self._versions

    def default_schema(self) -> str | None:
        """The schema of a session that ignores a lab's search path, None if there is none."""
        return namespaces.schema_of(self._url)

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A schema and an index, both in the ledger while they exist."""
        names = self.names[lab]
        with Ledger(self._settings).holding(*guest.planned(self._settings, names, "a lab")):
            # Without credentials: the proxy before the sink would lend them to any client of its own.
            sink = without_credentials(self._sink)
            url = namespaces.in_schema(self._url, names.schema)
            ends = {"DATABASE_URL": url, "ELASTIC_URL": sink, "ELASTIC_INDEX": names.index}
            ends |= guest.sink_credentials(self._settings)
            shown = {**lab.settings, **self._overrides}
            made = Namespace(ends, shown, self._overrides, self._home)
            guest.furnish(made.settings, self._settings.environment)
            yield made


Place = OwnPlace | StagingPlace
