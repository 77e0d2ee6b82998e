"""What some checks read: in a transaction of their own, from the engine, or from a URL."""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from outboxctl.core.database import Connection, Database
from outboxctl.core.inspect.projections import ProjectionFacts
from outboxctl.core.inspect.server import ConnectionLink, connection_link, read_only, read_or_refuse
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.operations.doctor.projection_rules import IndexOfProjection
from outboxctl.operations.projection.known import search_index_unused
from outboxctl.settings import Settings
from outboxctl.sink.index import shared
from outboxctl.sink.inspect.cluster import Cluster, lacking_of_worker
from outboxctl.sink.inspect.indices import Named, named
from outboxctl.sink.transport.request import shaped

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

Fact = TypeVar("Fact")
TRANSACTION_SECONDS = 60.0  # longer than all checks together take: a server may stop answering


def read_apart(settings: Settings, read: Callable[[Connection], Fact]) -> Fact:
    """What `read` returns, in a read-only transaction of its own."""
    url = settings.require_database_url()
    with closing(Database(url, connections=1, longest=TRANSACTION_SECONDS)) as db, db.begin() as connection:
        read_only(connection)
        return read_or_refuse(connection, db.name, read)


def search_index_named(settings: Settings, client: "Client", cluster: Cluster | None) -> Named:
    """The index, with the cluster as it was read, None where this user may not read it.

    Where the index is missing, the database is read for whether anything is delivered there, also where it is
    not to be examined. If it cannot be read, the index counts as needed.
    """
    found = replace(shaped(lambda: named(client, settings.elastic_index)), cluster=cluster)
    if not found.indexes:
        with suppress(OutboxctlError):
            return replace(found, needed=not read_apart(settings, search_index_unused))
    return found


def index_of(client: "Client", facts: ProjectionFacts, behind: Mapping[str, set[str]]) -> IndexOfProjection:
    """The index of a projection, what the worker's rights on it lack, and what meets it of `leads_to`."""
    index = facts.projection.index
    lacking = shaped(lambda: lacking_of_worker(client, index))
    return IndexOfProjection(
        facts, shaped(lambda: named(client, index)), lacking, [*shared.meeting(behind, index)]
    )


def link_of(url: str) -> ConnectionLink | None:
    """How a URL connects; None where libpq cannot read it, which the database's examination says."""
    try:
        return connection_link(url)
    except UsageError:
        return None
