"""A user's own system as a place for labs: a schema and an index for each, gone when it ends.

Whatever is made there is in the ledger before it is made, so that the next command removes what a
killed run left behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import SecretStr

from outboxctl.chaos.book import Fault
from outboxctl.chaos.ledger import Ledger, undone_by
from outboxctl.core import migrations, namespaces
from outboxctl.core.database import Database
from outboxctl.core.examine import server
from outboxctl.errors import RefusedError, UnreachableError, UsageError
from outboxctl.labs.model import Need
from outboxctl.labs.place import Namespace, by_field
from outboxctl.scratch.settings import environment, fixed
from outboxctl.settings import MAX_INDEX_BYTES, Settings
from outboxctl.sink import index
from outboxctl.sink.client import connect
from outboxctl.sink.examine.product import named
from outboxctl.urls import credentials, mask, without_credentials

if TYPE_CHECKING:
    from outboxctl.labs.lab import Lab
    from outboxctl.services.model import Say

KIND = "lab-namespace"
IMITATION = "noida-db"
OWN = {Need.OWN_ENGINE, Need.OWN_DATABASE, Need.PRIVATE_DATABASE}


@dataclass(frozen=True)
class Planned:
    """The names of what one lab makes in the user's system."""

    lab: "type[Lab]"
    schema: str
    index: str


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
        self._ledger, self._migrating = Ledger(settings), Lock()
        self.sink = mask(self._sink)
        self._versions: dict[str, str] = {}
        self.mark = uuid4().hex[:6]
        self.planned = [_planned(lab, settings.elastic_index, self.mark) for lab in labs]

    def lacks(self, lab: "type[Lab]") -> list[Need]:
        """Servers of its own, to be stopped, are not to be had here."""
        imitated = self.versions()["search"].startswith(IMITATION)
        return sorted(lab.needs & (OWN | {Need.REAL_ENGINE} if imitated else OWN))

    def versions(self) -> dict[str, str]:
        """The versions of both ends. UnreachableError where one is away."""
        if not self._versions:
            with closing(Database(self._url)) as database, database.begin() as connection:
                version = server.server(connection).version
            self._versions = {"postgres": f"postgres {version}", "search": self._search()}
        return self._versions

    def default_schema(self) -> str | None:
        """Where a session lands that does not honour a lab's search path; None where in no schema."""
        return namespaces.schema_of(self._url)

    @contextmanager
    def namespace(self, lab: "type[Lab]") -> Iterator[Namespace]:
        """A schema and an index, both in the ledger while they are there."""
        plan = next(plan for plan in self.planned if plan.lab is lab)
        with self._ledger.holding(
            self._fault(plan), lambda: namespaces.create_schema(self._url, plan.schema)
        ):
            yield self._prepared(lab, plan)

    def _search(self) -> str:
        with closing(connect(self._settings)) as client:
            try:
                name, version = named(client)
            except UnreachableError as error:
                hint = "check ELASTIC_URL, and that it runs (`outboxctl services up` starts a local one)"
                raise UnreachableError(f"the sink {self.sink} cannot be used: {error}", hint=hint) from None
            except RefusedError:  # a right that no worker needs
                return "elasticsearch, of a version that this user may not ask for"
        return f"{IMITATION if name == IMITATION else 'elasticsearch'} {version}".strip()

    def _fault(self, plan: Planned) -> Fault:
        facts = {"schema": plan.schema, "index": plan.index, **_ends(self._settings)}
        return Fault(KIND, f"the schema {plan.schema} and the index {plan.index} of a lab", facts)

    def _prepared(self, lab: "type[Lab]", plan: Planned) -> Namespace:
        url = namespaces.in_schema(self._url, plan.schema)
        shown = {**lab.settings, **self._overrides}
        ends = {
            "DATABASE_URL": url,
            "ELASTIC_URL": without_credentials(self._sink),
            "ELASTIC_INDEX": plan.index,
        }
        given = {**shown, **ends, **self._credentials()}
        settings = fixed(by_field(given))
        with self._migrating, closing(Database(url)) as database:
            migrations.upgrade(database, self._settings.environment or "test")
        with closing(connect(settings)) as client:
            index.ensure(client, settings.elastic_index)
        base = environment({}) | given
        # Without credentials: the proxy before it would lend them to whoever asks it.
        sink = ends["ELASTIC_URL"]
        return Namespace(settings, sink, self._home, base, shown, overrides=self._overrides)

    def _credentials(self) -> dict[str, str]:
        """What opens the sink, by environment name; a worker's own URL is that of a proxy."""
        given = self._settings
        named = (given.elastic_username, _secret(given.elastic_password))
        user, password = named if given.elastic_username else credentials(self._sink) or named
        values = {
            "ELASTIC_API_KEY": _secret(given.elastic_api_key),
            "ELASTIC_USERNAME": user,
            "ELASTIC_PASSWORD": password,
            "ELASTIC_CA_CERTS": given.elastic_ca_certs and str(Path(given.elastic_ca_certs).absolute()),
        }
        return {name: value for name, value in values.items() if value}


@undone_by(KIND)
def _remove(fault: Fault, settings: Settings, say: "Say") -> None:
    """Remove a lab's schema and index. UsageError where the settings lead to another system."""
    ends = _ends(settings)
    if other := [name for name, value in ends.items() if fault.facts[name] != value]:
        raise UsageError(
            f"it is in another system than {' and '.join(other)} of the settings",
            hint=f"set them to {', '.join(fault.facts[name] for name in other)}",
        )
    say(f"removing {fault.what}")
    with closing(connect(settings)) as client:
        index.remove(client, fault.facts["index"])
    namespaces.drop_schema(settings.require_database_url(), fault.facts["schema"])


def _ends(settings: Settings) -> dict[str, str]:
    """Where a system is, without a secret."""
    return {
        "DATABASE_URL": mask(settings.require_database_url()),
        "ELASTIC_URL": ",".join(map(mask, settings.sink_urls)),
    }


def _planned(lab: "type[Lab]", alias: str, mark: str) -> Planned:
    end = f"-lab-{lab.name}-{mark}"
    room = MAX_INDEX_BYTES - len(end) - len("-000001")
    schema = f"outboxctl_lab_{lab.name.replace('-', '_')[:40]}_{mark}"
    return Planned(lab, schema, alias.encode()[:room].decode(errors="ignore") + end)


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None
