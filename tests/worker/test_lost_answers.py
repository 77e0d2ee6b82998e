"""A COMMIT that was executed, but whose answer came late or never: nothing is lost, burnt or miscounted."""

import signal
from collections.abc import Callable

import pytest

from fakes.postgres_proxy import Do, Proxy
from processes import Worker, eventually
from scene import Scene

CLAIM, SETTLE = "SET status = 'processing'", "SET status = 'done'"
QUICK = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}
# To the worker the two look the same.
broken = pytest.mark.parametrize("do", [Do.DROP_STATEMENT, Do.DROP_ANSWER], ids=["not-executed", "executed"])
TOTAL = 10
pytestmark = pytest.mark.real_engine


@broken
def test_a_claim_whose_answer_was_lost_is_given_back_untried(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy, do: Do
) -> None:
    scene.load(300)
    lost = database_proxy.on("COMMIT", do, within=CLAIM)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    scene.finished_by(running, 300)
    assert lost.reached.is_set()
    assert scene.rows("attempts") == [(1,)]
    assert running.metric("outbox_reclaimed_total") == 0, "given back, not left to the lease of 30 s"


@broken
def test_a_settling_whose_answer_was_lost_counts_once(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy, do: Do
) -> None:
    scene.load(300)
    lost = database_proxy.on("COMMIT", do, within=SETTLE)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    scene.finished_by(running, 300)
    assert lost.reached.is_set()
    assert scene.rows("attempts") == [(1,)]


@pytest.mark.slow(reason="real workers for some seconds")
def test_a_claim_whose_answer_came_after_its_lease_is_not_sent(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy
) -> None:
    """What it read is old by then, and somebody else has delivered it."""
    scene.load(20)
    late = database_proxy.on("COMMIT", Do.HOLD_ANSWER, within=CLAIM)
    worker(**QUICK, DATABASE_URL=database_proxy.url, OUTBOX_LEASE_SECONDS="2")
    eventually(late.reached.is_set, what="claimed")
    second = worker(OUTBOX_RECLAIM_INTERVAL_SECONDS="1")
    scene.holds(20)
    second.end()
    late.released.set()
    scene.load(1)
    scene.holds(21)  # only the first worker is left, and has one lane: it is past its late claim
    assert scene.sent() == 21


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
