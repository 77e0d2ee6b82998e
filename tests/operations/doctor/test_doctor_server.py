"""The server itself, on a PostgreSQL of its own."""

from clusters import Cluster
from operations.doctor.ward import Ward, named
from outboxctl.operations.doctor.model import End


def test_a_standby_is_told_from_a_read_only_database(own_database: Ward, postgres: Cluster) -> None:
    with postgres.standby() as standby:
        name = own_database.url.rpartition("/")[2]
        own_database.monkeypatch.setenv("DATABASE_URL", named(standby.url, name))
        assert "standby" in own_database.one("database-read-only", End.DATABASE).what
        assert not own_database.examine(End.DATABASE).unreachable
