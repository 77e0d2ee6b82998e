"""A schema and an index for one run in the user's own system; in the ledger before they are made."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pydantic import SecretStr

from outboxctl.core.database import Database
from outboxctl.core.inspect import server
from outboxctl.core.schema import migrations, namespaces
from outboxctl.domain.errors import RefusedError, UnreachableError, UsageError
from outboxctl.domain.index_names import MOST_BYTES
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.services.model import Say
from outboxctl.drills.signals import undisturbed
from outboxctl.net.urls import credentials, mask
from outboxctl.settings import Settings, env_names
from outboxctl.sink.index import index_setup as index
from outboxctl.sink.inspect.product import product
from outboxctl.sink.transport.open import connect

KIND = "namespace"
IMITATION = "noida-db"
SECRETS = ("elastic_api_key", "elastic_username", "elastic_password")
FILES = ("elastic_ca_certs", "elastic_client_cert", "elastic_client_key")
MIGRATING = Lock()  # alembic takes one at a time


@dataclass(frozen=True)
class GuestNames:
    """The names of a schema and of an index."""

    schema: str
    index: str


def names(what: str, alias: str, mark: str) -> GuestNames:
    """Names for `what` of the run `mark` in a system whose index is `alias`, within both servers' limits."""
    end = f"-{what}-{mark}"
    room = MOST_BYTES - len(end)
    schema = f"outboxctl_{what.replace('-', '_')[:44]}_{mark}"
    return GuestNames(schema, alias.encode()[:room].decode(errors="ignore") + end)


def planned(settings: Settings, own: GuestNames, whose: str) -> PlannedFault:
    """The schema, in the ledger while it is there; `whose` is for people (`a lab`)."""
    url = settings.require_database_url()
    facts = {"schema": own.schema, "index": own.index, **_masked_endpoints(settings)}
    fault = Fault(KIND, f"the schema {own.schema} and the index {own.index} of {whose}", facts)
    return PlannedFault(fault, lambda: namespaces.create_schema(url, own.schema))


def furnish(settings: Settings, environment: str | None) -> None:
    """Make the tables and the index of these settings, of a schema that was made."""
    with MIGRATING, closing(Database(settings.require_database_url())) as database:
        migrations.upgrade(database, environment or "test")
    with closing(connect(settings)) as client:
        undisturbed(lambda: index.ensure(client, settings.elastic_index))


def versions(settings: Settings) -> dict[str, str]:
    """Product and version of database and sink, by role. UnreachableError where one does not answer."""
    url = settings.require_database_url()
    with closing(Database(url, connections=1)) as database, database.begin() as connection:
        version = server.server(connection).version
    return {"postgres": f"postgres {version}", "search": _search(settings)}


def sink_credentials(settings: Settings) -> dict[str, str]:
    """The sink's credentials and certificates by environment name."""
    known = {field: getattr(settings, field) for field in (*SECRETS, *FILES)}
    if not known["elastic_username"] and (inside := credentials(settings.sink_urls[0])):
        known["elastic_username"], known["elastic_password"] = inside
    found = {}
    for field, value in known.items():
        if value:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            found[env_names(field)[0]] = str(Path(plain).absolute()) if field in FILES else plain
    return found


def remove(fault: Fault, settings: Settings, say: Say) -> None:
    """Remove a schema and an index. UsageError where the settings lead to another system."""
    urls = _masked_endpoints(settings)
    if other := [name for name, value in urls.items() if fault.facts[name] != value]:
        raise UsageError(
            f"it is in another system than {' and '.join(other)} of the settings",
            hint=f"set them to {', '.join(fault.facts[name] for name in other)}",
        )
    say(f"removing {fault.what}")
    try:
        with closing(connect(settings)) as client:
            index.remove(client, fault.facts["index"])
    finally:  # a busy sink may not confirm in time; the record stays then
        namespaces.drop_schema(settings.require_database_url(), fault.facts["schema"])


def _search(settings: Settings) -> str:
    with closing(connect(settings)) as client:
        try:
            server = product(client)
        except RefusedError:  # a right that no worker needs
            return "elasticsearch, of a version that this user may not ask for"
        except UnreachableError as error:
            hint = "check ELASTIC_URL, and that it runs (`outboxctl services up` starts a local one)"
            where = mask(settings.sink_urls[0])
            raise UnreachableError(f"the sink {where} cannot be used: {error}", hint=hint) from None
    name = IMITATION if server.node == IMITATION else server.distribution
    return f"{name} {server.number}".strip()


def _masked_endpoints(settings: Settings) -> dict[str, str]:
    """The URLs of both, without secrets."""
    return {
        "DATABASE_URL": mask(settings.require_database_url()),
        "ELASTIC_URL": ",".join(map(mask, settings.sink_urls)),
    }
