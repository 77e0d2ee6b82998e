"""The network to the database swallows everything: no error ever comes, only silence."""

from collections.abc import Callable
from contextlib import closing

import pytest

from fakes.postgres_proxy import Do, Proxy
from outboxctl.core.database import Database
from outboxctl.domain.errors import UnreachableError
from processes import Worker, eventually
from scene import Scene, blames, ready

SETTLE = "SET status = 'done'"
QUICK = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "2", "OUTBOX_LEASE_SECONDS": "4"}


@pytest.mark.slow(reason="it waits until sessions are given up")
@pytest.mark.parametrize("statement", [SETTLE, "COMMIT"])
def test_the_worker_says_so_and_goes_on_once_the_network_is_back(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy, statement: str
) -> None:
    """At COMMIT the server has executed the settling, and keeps its rows locked for a client that is gone."""
    scene.load(500)
    middle = database_proxy.on(statement, Do.HOLD_STATEMENT, within=SETTLE)
    running = worker(**QUICK, DATABASE_URL=f"{database_proxy.url}?connect_timeout=2")
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
