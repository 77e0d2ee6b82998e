"""One node that is away is not the sink."""

from unittest.mock import Mock

import pytest

from outboxctl.domain.failures import Answer, classify
from outboxctl.worker.upkeep import probes
from outboxctl.worker.upkeep.probes import ONE, SEVERAL, ask

pytestmark = pytest.mark.no_servers
AWAY = classify(Answer(0, "connect", "refused", request=True))


def test_a_sink_is_away_once_it_was_asked_twice() -> None:
    assert ask(Mock(side_effect=[AWAY, None]), ONE) is None, "a load balancer with another node behind it"
    assert ask(Mock(side_effect=[AWAY, AWAY]), ONE) is AWAY


def test_a_round_of_silent_nodes_is_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "monotonic", Mock(side_effect=[0.0, 1.5]))
    assert ask(Mock(side_effect=[AWAY]), SEVERAL) is AWAY
