"""The database unwell in every way it can be: the worker stays, says so, and goes on by itself."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from fakes.postgres_proxy import Proxy
from processes import Worker, eventually
from scene import Scene, blames, ready

QUICK = {"OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "2"}
READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = {}"

pytestmark = pytest.mark.real_engine
Start = Callable[..., Worker]


def end_sessions(scene: Scene, user: str = "%") -> None:
    scene.sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename LIKE %s AND pid <> pg_backend_pid()",
        [user],
    )


def test_a_server_that_turns_read_only_costs_no_attempt(scene: Scene, worker: Start) -> None:
    """What a failover looks like where the old primary comes back as a standby."""
    name = scene.sql.info.dbname
    running = worker(**QUICK)
    eventually(lambda: ready(running), what="started")
    scene.sql.execute(READ_ONLY.format(name, "on"))
    end_sessions(scene)
    scene.load(100)
    eventually(lambda: blames(running, "database", "read-only"), what="said so")
    assert scene.rows("status, attempts") == [("pending", 0)]
    scene.sql.execute(READ_ONLY.format(name, "off"))
    scene.finished_by(running, 100)
    assert scene.rows("attempts") == [(1,)]


@pytest.fixture
def role(scene: Scene, url: str) -> Iterator[str]:
    """A URL with a role of its own: connection limits do not hold for a superuser."""
    name = f"r_{scene.sql.info.dbname}"
    scene.sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'r'")
    scene.sql.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    host = urlsplit(url).netloc.rpartition("@")[2]
    yield urlunsplit(urlsplit(url)._replace(netloc=f"{name}:r@{host}"))
    scene.sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_full_server_is_waited_for(scene: Scene, role: str, worker: Start) -> None:
    name = urlsplit(role).username or ""
    scene.load(2000)
    running = worker(**QUICK, DATABASE_URL=role)
    eventually(lambda: scene.count("done"), what="under way")
    scene.sql.execute(f"ALTER ROLE {name} CONNECTION LIMIT 0")
    end_sessions(scene, name)
    eventually(lambda: blames(running, "database", "too many connections"), what="said so")
    scene.sql.execute(f"ALTER ROLE {name} CONNECTION LIMIT -1")
    scene.finished_by(running, 2000)
    assert scene.sent() == 2000, "what was in hand is settled, not sent again"


def test_a_server_that_refuses_is_waited_for(scene: Scene, worker: Start, database_proxy: Proxy) -> None:
    scene.load(2000)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    eventually(lambda: scene.count("done"), what="under way")
    database_proxy.refuse()
    eventually(lambda: blames(running, "database", "refused"), what="said so")
    database_proxy.heal()
    scene.finished_by(running, 2000)
    assert scene.sent() == 2000, "what was in hand is settled, not sent again"
