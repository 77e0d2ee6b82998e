"""Several PostgreSQL servers: two primaries, one that is away, and a standby that a COMMIT waits for."""

from collections.abc import Iterator

import pytest

from clusters import Cluster
from operations.doctor.ward import Ward, named
from outboxctl.core.inspect import standbys
from outboxctl.drills.services import fresh_port
from outboxctl.operations.doctor.model import End

AWAY = "database-server-away"


@pytest.fixture
def synchronous(own_database: Ward) -> Iterator[Ward]:
    """A patient whose server waits for standbys, in the end for none: else no test would go on."""
    yield own_database
    own_database.do("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")


def test_a_synchronous_standby_that_is_away(synchronous: Ward) -> None:
    own_database = synchronous
    own_database.do("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b)'; SELECT pg_reload_conf()")
    own_database.do("SELECT pg_sleep(0.2)")
    found = own_database.one("synchronous-standby-away", End.DATABASE)
    assert "ANY 1 (a, b): of 1 there are 0" in found.what
    own_database.do(found.mend)
    own_database.do("SELECT pg_sleep(0.2)")
    assert found.id not in own_database.ids(End.DATABASE)


@pytest.mark.parametrize(
    ("names", "number"),
    [("", 0), ("a, b", 1), ("*", 1), ("2 (a, b)", 2), ("FIRST 3 (*)", 3), ("any 2(a,b)", 2), ('"2 (x"', 1)],
)
def test_how_many_standbys_are_asked_for(names: str, number: int) -> None:
    assert standbys.needed(names) == number


def test_a_server_of_the_url_that_is_away_and_then_a_second_primary(
    own_database: Ward, postgres: Cluster
) -> None:
    with postgres.standby() as standby:
        database = own_database.url.rpartition("/")[2]
        both = named(postgres.url, database).replace("@", f"@127.0.0.1:{standby.port},")
        own_database.monkeypatch.setenv("DATABASE_URL", both)
        assert own_database.ids(End.DATABASE) == []
        standby.promote()
        found = own_database.one("database-several-primaries", End.DATABASE)
        said = f"127.0.0.1:{postgres.port} (timeline 1) was left behind by a failover to"
        assert found.what.startswith(said)
    assert f"127.0.0.1:{standby.port}" in own_database.one(AWAY, End.DATABASE).what
    assert own_database.ids(End.DATABASE) == [AWAY]
    nobody = both.replace(f":{postgres.port}/", f":{fresh_port()}/")
    own_database.monkeypatch.setenv("DATABASE_URL", nobody)
    assert own_database.ids(End.DATABASE) == [AWAY, "database-unreachable"]
