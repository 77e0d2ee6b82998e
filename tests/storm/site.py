"""Servers, a migrated database and an index of a storm's own."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from elasticsearch import Elasticsearch

import servers
from clusters import cluster
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.sink.index.index_setup import ensure
from sinks import client_of
from storm.plan import Site

INDEX = "storm"
# The shop has two-phase commits. Durability would only slow the machine down: nothing here kills the server.
POSTGRES = """
max_prepared_transactions = 20
max_connections = 200
shared_buffers = 128MB
synchronous_commit = off
"""


@contextmanager
def own_site() -> Iterator[Site]:
    """One on servers of TEST_DATABASE_URL and TEST_ELASTIC_URL, else on servers that end with it.

    Exits where only an imitation of the engine could be started.
    """
    with servers.started() as both, TemporaryDirectory() as folder:
        sys.stderr.write(f"servers: {both.label}\n")
        if not both.real_engine:
            sys.exit("a real Elasticsearch is needed, and could not be had here")
        with _postgres(both) as postgres:
            url = servers.new_database(postgres)
            with closing(Database(url)) as database, closing(Elasticsearch(both.sink)) as engine:
                upgrade(database, None)
                ensure(client_of(engine), INDEX)
            yield Site(url, both.sink, INDEX, Path(folder))


@contextmanager
def _postgres(both: servers.Servers) -> Iterator[str]:
    """The superuser's URL of the given PostgreSQL, else of one with settings of the storm's own."""
    with nullcontext(both.postgres) if os.environ.get("TEST_DATABASE_URL") else _own_postgres() as url:
        yield url


@contextmanager
def _own_postgres() -> Iterator[str]:
    """The superuser's URL of one with settings of the storm's own."""
    with cluster(POSTGRES) as own:
        yield own.url
