"""Servers and databases that are not supported: `db upgrade` and a worker refuse them, and change nothing."""

from collections.abc import Iterator

import psycopg
import pytest

import servers as test_servers
from outboxctl.core.database import Database
from outboxctl.core.inspect import server
from outboxctl.core.schema.migrations import upgrade, upgrade_sql
from outboxctl.domain.errors import UsageError
from processes import Cli
from servers import Servers

TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def other(request: pytest.FixtureRequest, servers: Servers) -> Iterator[tuple[str, str]]:
    """A database in another encoding: its URL and the encoding."""
    url = test_servers.new_database(servers.postgres, encoding=request.param)
    yield url, request.param
    test_servers.drop_database(servers.postgres, url)


def test_an_upgrade_of_a_database_in_another_encoding_is_refused(cli: Cli, other: tuple[str, str]) -> None:
    url, encoding = other
    refused = cli("db", "upgrade", env={"DATABASE_URL": url})
    assert refused.returncode == 2, refused.stderr
    name = url.rpartition("/")[2]
    for part in (name, f"has the encoding {encoding}", "pg_dump", "ENCODING 'UTF8' TEMPLATE template0"):
        assert part in " ".join(refused.stderr.split())
    with psycopg.connect(url) as sql:
        assert sql.execute(TABLES).fetchone() == (0,)


def test_no_worker_starts_on_a_database_in_another_encoding(cli: Cli, other: tuple[str, str]) -> None:
    url, encoding = other
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as sql:
        sql.execute(upgrade_sql().encode())
    refused = cli("worker", "--drain", env={"DATABASE_URL": url})
    assert refused.returncode == 2, refused.stderr
    assert f"has the encoding {encoding}" in refused.stderr


def test_an_upgrade_on_a_server_that_is_too_old_is_refused(
    empty_url: str, raw: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MIN_POSTGRES", raw.info.server_version + 1)
    database = Database(empty_url)
    with pytest.raises(UsageError, match=r"is on PostgreSQL \d+.*: upgrade the server to 14 or newer"):
        upgrade(database, None)
    database.close()
    assert raw.execute(TABLES).fetchone() == (0,)
