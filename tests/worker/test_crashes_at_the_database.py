"""A worker killed at each step between it and the database: what another one finds, and does about it."""

import signal
from collections.abc import Callable

import pytest

from fakes.postgres_proxy import Do, Proxy
from processes import Worker, eventually
from scene import Scene

CLAIM, SETTLE = "SET status = 'processing'", "SET status = 'done'"
TOTAL = 10

pytestmark = pytest.mark.real_engine


@pytest.mark.parametrize(
    ("within", "do", "attempts", "sent"),
    [
        pytest.param(CLAIM, Do.HOLD_STATEMENT, 1, TOTAL, id="before-the-claim-commits"),
        pytest.param(CLAIM, Do.HOLD_ANSWER, 2, TOTAL, id="after-the-claim-committed"),
        pytest.param(SETTLE, Do.HOLD_STATEMENT, 2, 2 * TOTAL, id="before-the-settling-commits"),
        pytest.param(SETTLE, Do.HOLD_ANSWER, 1, TOTAL, id="after-the-settling-committed"),
    ],
)
def test_a_crash_loses_nothing_and_costs_at_most_one_attempt(
    scene: Scene,
    worker: Callable[..., Worker],
    database_proxy: Proxy,
    within: str,
    do: Do,
    attempts: int,
    sent: int,
) -> None:
    scene.load(TOTAL)
    step = database_proxy.on("COMMIT", do, within=within)
    first = worker(DATABASE_URL=database_proxy.url)
    eventually(step.reached.is_set, what="the step")
    first.signal(signal.SIGKILL)
    first.wait()
    database_proxy.cut()  # as the kernel does to the connections of a dead process
    scene.pass_leases()
    worker()
    scene.holds(TOTAL)
    assert (scene.rows("attempts"), scene.sent()) == ([(attempts,)], sent)
