"""The servers that labs run on: services of our own, or a user's system; each lab has its namespace there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.core.schema import migrations, namespaces
from outboxctl.drills import services
from outboxctl.drills.faults import guest
from outboxctl.drills.labs.model import Need
from outboxctl.drills.labs.namespace import Namespace
from outboxctl.drills.labs.shared_cluster import SharedCluster
from outboxctl.drills.services.cluster import SearchCluster
from outboxctl.drills.services.model import SearchWish, Service, Services, silent
from outboxctl.net.urls import mask, without_credentials
from outboxctl.settings import Settings
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.open import connect

if TYPE_CHECKING:
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.services.model import Say

INDEX_SECONDS = 60.0  # to make an index; without it the limit would be a lab's lease, perhaps a second
NOT_ON_STAGING = {Need.OWN_ENGINE, Need.OWN_CLUSTER, Need.OWN_DATABASE, Need.PRIVATE_DATABASE}


class OwnPlace:
    """Services of our own in a run's folder, started when first used; some labs get their own.

    `overrides` are environment variables that replace every lab's settings.
    """

    def __init__(
        self, folder: Path, search: SearchWish, overrides: Mapping[str, str], say: "Say" = silent
    ) -> None:
        self._folder, self._search, self._overrides, self._say = folder, search, overrides, say
        self._shared: Services | None = None
        self._cluster = SharedCluster(folder, say)
        self._starting, self._migrating = Lock(), Lock()
        self._templates: dict[str, str] = {}  # by server

    def close(self) -> None:
        """End the cluster; the other services end with their folder."""
        self._cluster.close()

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """What this lab needs and this machine does not have: a real engine, or the parts of a cluster."""
        kind = self._services().search.kind
        missing = {Need.REAL_ENGINE} if kind == "noida" else set()
        if Need.OWN_CLUSTER in lab.needs and not SharedCluster.kind(kind):
            missing.add(Need.OWN_CLUSTER)
        return sorted(lab.needs & missing)

    @staticmethod
    def why(lacking: Sequence[Need]) -> str:
        """Why that is not here."""
        return "that takes Maven and a JDK" if Need.OWN_CLUSTER in lacking else "this is an imitation"

    def versions(self) -> dict[str, str]:
        """Kinds and versions of the shared services, by role (`postgres`, `search`)."""
        both = self._services()
        return {each.role: f"{each.kind} {each.version}" for each in (both.postgres, both.search)}

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A database and an index of one lab, dropped at the end. OutboxctlError."""
        with ExitStack() as stack:
            cluster = stack.enter_context(self._cluster_of(lab))
            yield stack.enter_context(self._namespace(lab, cluster))

    @contextmanager
    def _namespace(self, lab: "type[Lab]", cluster: SearchCluster | None) -> Iterator[Namespace]:
        both, own = self._services_of(lab)
        name = lab.name.replace("-", "_")
        url = namespaces.create_database(both.postgres.url, f"lab_{name}", like=self._template(both.postgres))
        sink = cluster.url if cluster else both.search.url
        ends = {"DATABASE_URL": url, "ELASTIC_URL": sink, "ELASTIC_INDEX": f"lab-{lab.name}"}
        try:
            made = Namespace.at(
                ends, lab.settings, self._overrides, home=self._folder, own=own, cluster=cluster
            )
            with closing(connect(made.settings, timeout=INDEX_SECONDS)) as client:
                settings = index_setup.SETTINGS | dict(lab.index_settings)
                index_setup.ensure(client, made.settings.elastic_index, settings=settings)
            yield made
        finally:
            namespaces.drop_database(both.postgres.url, url)

    @contextmanager
    def _cluster_of(self, lab: "type[Lab]") -> Iterator[SearchCluster | None]:
        """The cluster, where this lab needs one."""
        kind = SharedCluster.kind(self._services().search.kind) if Need.OWN_CLUSTER in lab.needs else None
        if kind is None:
            yield None
            return
        with self._cluster.lent(kind) as cluster:
            yield cluster

    def _services_of(self, lab: "type[Lab]") -> tuple[Services, Path | None]:
        both = self._services()
        needs, state = lab.needs | lab.wants, self._folder / lab.name
        if Need.OWN_ENGINE in needs:
            engine = services.start_search(state, search=self._search, fresh=True)
            return Services(both.postgres, engine), state
        if Need.OWN_DATABASE in needs:
            # Not `fast`: a server that is to be killed must keep what it has committed.
            return Services(services.start_postgres(state, fresh=True), both.search), state
        return both, None

    def _template(self, postgres: Service) -> str:
        """A migrated database to copy from: quicker than migrating each, and alembic takes one at a time."""
        with self._migrating:
            if postgres.url not in self._templates:
                url = namespaces.create_database(postgres.url, "lab_template")
                with closing(Database(url)) as database:
                    migrations.upgrade(database, "test")
                self._templates[postgres.url] = url
            return self._templates[postgres.url]

    def _services(self) -> Services:
        with self._starting:
            if self._shared is None:
                self._shared = services.up(
                    self._folder, search=self._search, fresh_ports=True, fast=True, say=self._say
                )
            return self._shared


class StagingPlace:
    """A user's own system: the database and the sink of `settings`; workers run here, in `home`.

    `names` are those of the schema and the index that each lab makes there, and `mark` is at the end of
    each; nothing else is touched. `overrides` are environment variables that replace every lab's settings.
    """

    def __init__(
        self, settings: Settings, home: Path, labs: "Sequence[type[Lab]]", overrides: Mapping[str, str]
    ) -> None:
        self._settings, self._home, self._overrides = settings, home, overrides
        self._url, self._sink = settings.require_database_url(), settings.sink_urls[0]
        self.sink = mask(self._sink)
        self._versions: dict[str, str] = {}
        self.mark = guest.new_mark()
        self.names = {lab: guest.names(f"lab-{lab.name}", settings.elastic_index, self.mark) for lab in labs}

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """What this lab needs and these servers do not have: no lab may stop or change a user's servers."""
        imitation = self.versions()["search"].startswith(guest.IMITATION)
        return sorted(lab.needs & (NOT_ON_STAGING | {Need.REAL_ENGINE} if imitation else NOT_ON_STAGING))

    @staticmethod
    def why(lacking: Sequence[Need]) -> str:
        """Why that is not here."""
        imitation = Need.REAL_ENGINE in lacking
        return "this is an imitation" if imitation else "no lab may stop or change the servers here"

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
        with guest.holding(self._settings, names, "a lab") as url:
            # Without credentials: the proxy before the sink would lend them to any client of its own.
            sink = without_credentials(self._sink)
            ends = {"DATABASE_URL": url, "ELASTIC_URL": sink, "ELASTIC_INDEX": names.index}
            ends |= guest.sink_credentials(self._settings)
            made = Namespace.at(ends, lab.settings, self._overrides, home=self._home)
            guest.furnish(made.settings, self._settings.environment)
            yield made


Place = OwnPlace | StagingPlace
