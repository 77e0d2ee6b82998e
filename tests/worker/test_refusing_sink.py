"""A sink that answers 400 to every bulk request is an outage: no event fails because of it."""

from collections.abc import Callable

import pytest

from fakes import Fault, Script, fake_sink
from fakes.faults import answered, refused
from processes import Cli, Worker, eventually
from scene import Scene
from servers import Servers

TOTAL = 200
SETTINGS = {
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "0.2",
    "OUTBOX_MAX_ATTEMPTS": "30",
}
HTML = b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>"
ANSWERS = {
    "page": answered(400, HTML, Content_Type="text/html"),
    "empty": answered(400),
    "untyped": answered(400, b'{"error":"no"}', Content_Type="application/json"),
    "typed": refused(400, "illegal_argument_exception", "no"),
}


@pytest.mark.parametrize("policy", ["count", "hold"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_event_fails_and_all_are_delivered_afterwards(
    cli: Cli,
    worker: Callable[..., Worker],
    scene: Scene,
    servers: Servers,
    policy: str,
    answer: Fault,
) -> None:
    with fake_sink(Script(), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY=policy, **SETTINGS)
        cli.ok("inject", "event")  # from here on the alias is known, and nothing is looked up any more
        eventually(lambda: running.metric("outbox_processed_total") == 1, what="delivered while all is well")
        sink.script = Script.always(answer)
        cli.ok("inject", "load", "--total", str(TOTAL), "--rate", "0", "--per-transaction", "50")
        eventually(lambda: _long_enough(scene, len(sink.requests), policy), what="refused for a while")
        assert scene.count("failed") == running.metric("outbox_terminal_failed_total") == 0
        if policy == "hold":
            assert scene.rows("attempts") == [(0,), (1,)], "only the one that is done has used its attempt"
            assert running.metric("outbox_circuit_open") == 1
        else:
            assert scene.rows("error_reason") == [("config",), (None,)]
        sink.script = Script()
        eventually(lambda: running.metric("outbox_processed_total") == TOTAL + 1, within=30, what="recovered")
    scene.holds(TOTAL + 1)


def _long_enough(scene: Scene, requests: int, policy: str) -> bool:
    """Whether a worker that blames the events would have failed some by now."""
    if policy == "hold":
        return requests > 20
    waiting = scene.sql.execute("SELECT FROM search_outbox_events WHERE status <> 'done' AND attempts < 6")
    return waiting.fetchone() is None
