"""The network to the database swallows everything: no error ever comes, only silence."""

from collections.abc import Callable

import pytest

from fakes.postgres_proxy import Do, Proxy
from processes import Worker, eventually
from scene import Scene, blames, ready

SETTLE = "SET status = 'done'"
QUICK = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "2", "OUTBOX_LEASE_SECONDS": "4"}


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
