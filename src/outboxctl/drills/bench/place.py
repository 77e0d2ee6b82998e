"""The rig to measure on: servers started for the run, or a schema and an index on the user's servers."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from outboxctl.core.database import Database, host_of
from outboxctl.drills import services
from outboxctl.drills.bench import machine, tables
from outboxctl.drills.bench.rig import Clock, Rig
from outboxctl.drills.faults import gate, guest
from outboxctl.drills.scratch.settings import environment, fixed
from outboxctl.drills.scratch.worker import RUN
from outboxctl.drills.services.model import PostgresWish, Say, SearchWish
from outboxctl.net.urls import parse_url
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

INDEX = "bench"
PATIENCE = 3_600.0  # seconds
IMITATION = "noida-db (an imitation)"
# The user's settings that a run keeps: how to reach the sink, and what `bench` has no flag for.
KEPT = (
    *("elastic_url", "elastic_api_key", "elastic_username", "elastic_password", "elastic_fingerprint"),
    *("elastic_ca_certs", "elastic_client_cert", "elastic_client_key", "max_batch_bytes"),
)
Clocks = dict[str, Clock | None]


@contextmanager
def own_servers(
    folder: Path, search: SearchWish, say: Say, *, postgres: PostgresWish = "auto"
) -> Iterator[Rig]:
    """Start servers in a folder, for the caller to stop. UnreachableError where none can be started."""
    both = services.up(folder, postgres=postgres, search=search, fresh_ports=True, say=say)
    urls = {"database_url": both.postgres.url, "elastic_url": both.search.url}
    inside = fixed(urls | {"elastic_index": INDEX})
    guest.furnish(inside, "test")
    versions = {"PostgreSQL": both.postgres.version, _engine(both.search.kind): both.search.version}
    clocks = {"postgres": _clock(both.postgres), "engine": _clock(both.search)}
    checkpoint = partial(tables.checkpoint, both.postgres.admin_url)
    with _rig(inside, folder, versions, clocks, checkpoint=checkpoint) as rig:
        yield rig


@contextmanager
def users_servers(settings: Settings, own: guest.GuestNames, folder: Path) -> Iterator[Rig]:
    """A schema and an index of the run's own on the user's servers, dropped at the end. OutboxctlError."""
    kinds = guest.versions(settings)
    with guest.holding(settings, own, "a benchmark") as url:
        kept = {name: getattr(settings, name) for name in KEPT}
        inside = fixed({"database_url": url, "elastic_index": own.index, **kept})
        guest.furnish(inside, settings.environment)
        engine, _, version = kinds["search"].partition(" ")
        versions = {"PostgreSQL": kinds["postgres"].partition(" ")[2], _engine(engine): version}
        with _rig(inside, folder, versions, _clocks(inside), guest.sink_credentials(settings)) as rig:
            yield rig


def shared(settings: Settings) -> bool:
    """Whether both servers are on this machine, by their addresses: then all share its cores."""
    with closing(Database(settings.require_database_url(), connections=1)) as db, db.begin() as connection:
        return gate.here(host_of(connection)) and all(map(gate.local, settings.sink_urls))


@contextmanager
def _rig(
    inside: Settings,
    folder: Path,
    versions: dict[str, str],
    clocks: Clocks,
    credentials: dict[str, str] | None = None,
    **more: Any,
) -> Iterator[Rig]:
    more |= {"versions": versions, "cpu": {server: clock for server, clock in clocks.items() if clock}}
    more |= {"environment": environment({}) | (credentials or {}) | {RUN: str(folder)}}  # it ends with RUN
    more |= {"patience": PATIENCE}  # the user's own servers may be slow, and ^C ends the run
    with closing(Database(inside.require_database_url())) as database, closing(connect(inside)) as client:
        yield Rig(inside, database, client, folder, require_alias=IMITATION not in versions, **more)


def _clocks(inside: Settings) -> Clocks:
    """CPU clocks of the servers that are processes of this machine; None where one cannot be read."""
    with closing(Database(inside.require_database_url(), connections=1)) as database:
        postgres = machine.clock(machine.postgres(database))
    urls = inside.sink_urls
    port = parse_url(urls[0]).port if len(urls) == 1 and gate.local(urls[0]) else None
    return {"postgres": postgres, "engine": machine.clock(machine.engine(port)) if port else None}


def _clock(service: services.Service) -> Clock | None:
    return machine.clock(psutil.Process(service.pid)) if service.pid else None


def _engine(kind: str) -> str:
    """The engine's name, which says where it is an imitation."""
    if kind.startswith("noida"):
        return IMITATION
    return "OpenSearch" if kind.startswith("opensearch") else "Elasticsearch"
