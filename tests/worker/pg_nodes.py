"""A primary and a standby for the tests of several PostgreSQL servers: fork them, and look at both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from elasticsearch import Elasticsearch

from clusters import Cluster
from processes import eventually
from scene import Scene

CAUGHT_UP = "SELECT FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
RECEIVES = "SELECT FROM pg_stat_wal_receiver"


@dataclass(frozen=True)
class Pair:
    """Two servers with one database, and the index beside it."""

    primary: Cluster
    standby: Cluster
    url: str  # at the primary
    engine: Elasticsearch
    index: str

    @property
    def url_of_standby(self) -> str:
        """The same database at the standby."""
        return self.url.replace(f":{self.primary.port}/", f":{self.standby.port}/")

    @property
    def both(self) -> str:
        """Both servers in one URL, the standby first: a server that cannot be written must not be taken."""
        return self.url.replace("@", f"@127.0.0.1:{self.standby.port},")

    @contextmanager
    def at(self, server: Cluster) -> Iterator[Scene]:
        """The database at one of them."""
        url = self.url if server is self.primary else self.url_of_standby
        with psycopg.connect(url, autocommit=True) as sql:
            yield Scene(sql, self.engine, self.index)

    def catch_up(self) -> None:
        """Wait until the standby has all that the primary has."""
        with self.at(self.primary) as scene:
            eventually(lambda: scene.sql.execute(CAUGHT_UP).rowcount == 1, what="caught up")

    def cut_replication(self) -> None:
        """The standby receives nothing from now on."""
        with psycopg.connect(self.standby.url, autocommit=True) as sql:
            sql.execute("ALTER SYSTEM SET primary_conninfo = ''")
            sql.execute("SELECT pg_reload_conf()")
            eventually(lambda: not sql.execute(RECEIVES).rowcount, what="cut off")

    def promote(self) -> None:
        """Two primaries from now on, as the old one is not told."""
        self.standby.promote()
