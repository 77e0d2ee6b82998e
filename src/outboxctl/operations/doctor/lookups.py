"""What some checks read: in a transaction of their own, from the engine, or from a URL."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeVar

from outboxctl.core.database import Connection, Database
from outboxctl.core.documents.samples import source_versions
from outboxctl.core.inspect.projections import ProjectionFacts
from outboxctl.core.inspect.server import ConnectionLink, connection_link, read_only, read_or_refuse
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.operations.doctor.index_rules import ExaminedIndex
from outboxctl.operations.projection.known import search_index_unused
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import versions
from outboxctl.sink.inspect.indices import named
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


def search_index(settings: Settings, client: "Client") -> ExaminedIndex:
    """The index of `search_index`.

    Where it is missing, the database is read for whether anything is delivered there, also where it is
    not to be examined. If it cannot be read, the index counts as needed.
    """
    found = shaped(lambda: named(client, settings.elastic_index))
    if not found.indexes:
        with suppress(OutboxctlError):
            return ExaminedIndex(found, needed=not read_apart(settings, search_index_unused))
    return ExaminedIndex(found)


def projected(client: "Client", facts: ProjectionFacts, others: Sequence[ExaminedIndex]) -> ExaminedIndex:
    """The index of a declared projection, and what it shares with the `others`.

    A name that is the same is another rule's, which needs no sink.
    """
    found = shaped(lambda: named(client, facts.projection.index))
    mine = {each.name for each in found.indexes}
    shared = [
        (other.owner, index.name)
        for other in others
        for index in other.named.indexes
        if index.name in mine and other.named.name != found.name
    ]
    return ExaminedIndex(found, facts, shared=shared)


def ahead(settings: Settings, client: "Client", index: str, ids: Sequence[str]) -> list[str]:
    """Those of the documents whose version is above their source row's.

    Rows are read after the documents: one that is written meanwhile is not behind.
    """
    documents = shaped(lambda: versions(client, index, ids))
    rows = read_apart(settings, lambda connection: source_versions(connection, list(documents)))
    held = {id_: version for id_, version in documents.items() if version is not None}
    return sorted(id_ for id_, version in held.items() if version > rows.get(id_, version))


def link_of(url: str) -> ConnectionLink | None:
    """How a URL connects; None where libpq cannot read it, which the database's examination says."""
    try:
        return connection_link(url)
    except UsageError:
        return None
