"""One node that is away is not the sink; what may not be asked is asked rarely."""

from collections.abc import Sequence

import pytest

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.failures import Answer, Classification, classify
from outboxctl.worker.upkeep.probes import EVERY, ONSET, REFUSED, SinkProbe

pytestmark = pytest.mark.no_servers
AWAY = classify(Answer(0, "connect", "refused", request=True))
RED = classify(Answer(503, "unavailable_shards_exception", "red", request=True))


class Nodes:
    """A sink whose nodes are asked in turn."""

    def __init__(self, *answers: Classification | None) -> None:
        self.answers, self.asked = [*answers], 0
        self.healths: list[Classification | Exception | None] = []

    def ping(self) -> Classification | None:
        self.asked += 1
        return self.answers.pop(0)

    def health(self, names: Sequence[str]) -> Classification | None:
        assert names
        answer = self.healths.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_sink_is_away_once_it_was_asked_twice() -> None:
    assert SinkProbe(Nodes(AWAY, None), several=False).ask() is None, (
        "a load balancer with another node behind it"
    )
    nodes = Nodes(AWAY, AWAY, None)
    assert SinkProbe(nodes, several=False).ask() is AWAY
    assert nodes.asked == 2


def test_a_round_of_silent_nodes_is_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("outboxctl.worker.upkeep.probes.monotonic", lambda: now[0])

    class Silent(Nodes):
        def ping(self) -> Classification | None:
            now[0] += 1.5
            return super().ping()

    nodes = Silent(*[classify(Answer(0, "timeout", request=True))] * 2)
    assert SinkProbe(nodes, several=True).ask() is not None
    assert nodes.asked == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("outboxctl.worker.upkeep.probes.monotonic", lambda: now[0])
    return now


def test_health_that_may_not_be_asked_for_is_left_alone_for_a_minute(clock: list[float]) -> None:
    nodes = Nodes()
    probe = SinkProbe(nodes, several=False)
    nodes.healths = [RED, UnreachableError("away"), RefusedError("403"), None]
    assert probe.health(["a"]) is RED, "from the start"
    assert probe.health(["a"]) is RED, "nothing was learned"
    assert probe.health([]) is None
    assert probe.health(["a"]) is None
    clock[0] += REFUSED - 0.1
    assert probe.health(["a"]) is None
    assert len(nodes.healths) == 1
    clock[0] += 0.2
    assert probe.health(["a"]) is None
    assert not nodes.healths


def test_an_election_of_a_second_is_no_illness(clock: list[float]) -> None:
    nodes = Nodes()
    probe = SinkProbe(nodes, several=False)
    nodes.healths = [None, RED, RED, None, RED, RED, RED]
    assert probe.health(["a"]) is None
    clock[0] += EVERY
    for seconds in (1.0, 1.0, EVERY):  # red twice, and well
        assert probe.health(["a"]) is None
        clock[0] += seconds
    assert probe.health(["a"]) is None
    clock[0] += ONSET - 1.5
    assert probe.health(["a"]) is None
    clock[0] += 0.6
    assert probe.health(["a"]) is RED
