"""The database unwell in every way it can be: the worker stays, says so, and goes on by itself."""

from collections.abc import Callable
from contextlib import closing

import pytest

from fakes.postgres_proxy import Do, Proxy
from outboxctl.core.database import Database
from outboxctl.domain.errors import UnreachableError
from processes import Worker, eventually
from scene import Scene, blames, ready

QUICK = {"OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "2"}
READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = {}"
pytestmark = pytest.mark.real_engine
Start = Callable[..., Worker]
SETTLE = "SET status = 'done'"
HASTY = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "2", "OUTBOX_LEASE_SECONDS": "4"}


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


def test_a_server_that_refuses_is_waited_for(scene: Scene, worker: Start, database_proxy: Proxy) -> None:
    scene.load(2000)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    eventually(lambda: scene.count("done"), what="under way")
    database_proxy.refuse()
    eventually(lambda: blames(running, "database", "refused"), what="said so")
    database_proxy.heal()
    scene.finished_by(running, 2000)
    assert scene.sent() == 2000, "what was in hand is settled, not sent again"


@pytest.mark.slow(reason="it waits until sessions are given up")
@pytest.mark.parametrize("statement", [SETTLE, "COMMIT"])
def test_the_worker_says_so_and_goes_on_once_the_network_is_back(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy, statement: str
) -> None:
    """At COMMIT the server has executed the settling, and keeps its rows locked for a client that is gone."""
    scene.load(500)
    middle = database_proxy.on(statement, Do.HOLD_STATEMENT, within=SETTLE)
    running = worker(**HASTY, DATABASE_URL=f"{database_proxy.url}?connect_timeout=2")
    eventually(middle.reached.is_set, what="in the middle of its work")
    eventually(lambda: ready(running), what="nothing to complain about so far")
    database_proxy.go_dark()
    middle.released.set()
    eventually(lambda: blames(running, "database"), within=3, what="said so")
    database_proxy.heal()
    scene.finished_by(running, 500, leases_may_end=True)  # transactions have 5 s at least


def test_a_session_that_goes_silent_right_after_it_was_opened_is_given_up(database_proxy: Proxy) -> None:
    """Seen once: a lane waited for ever for the answer to the first question of a new session."""
    asked = database_proxy.on("SHOW synchronous_commit", Do.HOLD_STATEMENT)
    database = Database(database_proxy.url, longest=1.0, local_commits=True)
    with closing(database), pytest.raises(UnreachableError), database.begin():
        pytest.fail("it has a session")
    assert asked.reached.is_set()
