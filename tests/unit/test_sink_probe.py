"""One node that is away is not the sink."""

import pytest

from outboxctl.domain.failures import Answer, Classification, classify
from outboxctl.worker.upkeep.probes import ONE, SEVERAL, ask

pytestmark = pytest.mark.no_servers
AWAY = classify(Answer(0, "connect", "refused", request=True))


class Nodes:
    """A sink whose nodes are asked in turn."""

    def __init__(self, *answers: Classification | None) -> None:
        self.answers, self.asked = [*answers], 0

    def ping(self) -> Classification | None:
        self.asked += 1
        return self.answers.pop(0)


def test_a_sink_is_away_once_it_was_asked_twice() -> None:
    assert ask(Nodes(AWAY, None), ONE) is None, "a load balancer with another node behind it"
    nodes = Nodes(AWAY, AWAY, None)
    assert ask(nodes, ONE) is AWAY
    assert nodes.asked == 2


def test_a_round_of_silent_nodes_is_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("outboxctl.worker.upkeep.probes.monotonic", lambda: now[0])

    class Silent(Nodes):
        def ping(self) -> Classification | None:
            now[0] += 1.5
            return super().ping()

    nodes = Silent(*[classify(Answer(0, "timeout", request=True))] * 2)
    assert ask(nodes, SEVERAL) is not None
    assert nodes.asked == 1
