"""A copy of PostgreSQL takes its place, with what it had when it was copied, and no more."""

from pathlib import Path

import psycopg
import pytest

from outboxctl.drills import services
from outboxctl.drills.services import standby

pytestmark = pytest.mark.no_servers
TIMELINE = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"


def rows(url: str) -> list[int]:
    """What is in the table, and that it takes more."""
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute("CREATE TABLE IF NOT EXISTS t (n int)")
        return [n for (n,) in sql.execute("SELECT n FROM t ORDER BY n")]


def add(url: str, number: int) -> None:
    """A transaction."""
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute("INSERT INTO t VALUES (%s)", [number])


def test_the_promoted_one_is_found_by_the_same_url_and_lacks_what_came_later(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    service = services.start_postgres(tmp_path, fresh=True, fast=True)
    try:
        if service.kind != "embedded":
            pytest.skip("the server is in a container")
        assert rows(service.url) == []
        add(service.url, 1)
        assert standby.copy(tmp_path)
        add(service.url, 2)
        standby.promote(tmp_path)
        assert rows(service.url) == [1]
        add(service.url, 3)
        assert rows(service.url) == [1, 3]
        with psycopg.connect(service.admin_url) as sql:
            assert sql.execute(TIMELINE).fetchone() == ("00000002",)
    finally:
        services.down(tmp_path, purge=True)
    assert not service.home.exists()


def test_a_server_in_a_container_cannot_be_copied_and_that_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = services.Service("postgres", "docker", 1, tmp_path / "data")
    monkeypatch.setattr(standby, "load", lambda _: {"postgres": known})
    assert standby.copy(tmp_path) is False
