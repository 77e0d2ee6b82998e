"""A COMMIT that was executed, but whose answer never came: nothing is lost, burnt or counted wrongly."""

from collections.abc import Callable

from fakes.postgres_proxy import Do, Proxy
from processes import Worker
from scene import Scene

CLAIM, SETTLE = "SET status = 'processing'", "SET status = 'done'"
QUICK = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}


def test_a_claim_whose_answer_was_lost_is_given_back_untried(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy
) -> None:
    scene.load(300)
    lost = database_proxy.on("COMMIT", Do.DROP_ANSWER, within=CLAIM)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    scene.finished_by(running, 300)
    assert lost.reached.is_set()
    assert scene.rows("attempts") == [(1,)]
    assert running.metric("outbox_reclaimed_total") == 0, "given back, not left to the lease of 30 s"


def test_a_settling_whose_answer_was_lost_counts_once(
    scene: Scene, worker: Callable[..., Worker], database_proxy: Proxy
) -> None:
    scene.load(300)
    lost = database_proxy.on("COMMIT", Do.DROP_ANSWER, within=SETTLE)
    running = worker(**QUICK, DATABASE_URL=database_proxy.url)
    scene.finished_by(running, 300)
    assert lost.reached.is_set()
    assert scene.rows("attempts") == [(1,)]
