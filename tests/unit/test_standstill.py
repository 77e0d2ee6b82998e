"""A sink that takes nothing is found in seconds; one that refuses a single event is not that."""

import pytest

from outboxctl.domain.failures import DONE, Answer, Classification, classify
from outboxctl.worker.health import LONGEST, Standstill

pytestmark = pytest.mark.no_servers
SILENT = classify(Answer(0, "timeout", "a text of the sink", request=True))
BLOCKED = classify(Answer(403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)]"))
NO_COPIES = classify(Answer(503, "unavailable_shards_exception", "not enough active copies"))
OF_ONE_EVENT = classify(Answer(500, "null_pointer_exception", "a bug of the sink"))
REFUSED = classify(Answer(400, "document_parsing_exception", "no"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr("outboxctl.worker.health.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("finding", [SILENT, BLOCKED, NO_COPIES])
def test_nothing_taken_for_some_seconds_is_a_problem_with_its_reason(
    clock: list[float], finding: Classification
) -> None:
    deliveries = Standstill()
    deliveries.observe([finding, None], sent_at=clock[0] - 1)
    clock[0] += LONGEST - 1
    assert deliveries.problem() is None
    clock[0] += 1
    problem = deliveries.problem()
    assert problem is not None
    assert problem.public == f"nothing was taken for 11 s: {finding.public}"
    assert "a text of the sink" not in problem.public
    deliveries.observe([finding, DONE], sent_at=clock[0])
    assert deliveries.problem() is None, "some are taken"


@pytest.mark.parametrize("finding", [OF_ONE_EVENT, REFUSED])
def test_an_answer_about_one_event_is_no_standstill(clock: list[float], finding: Classification) -> None:
    deliveries = Standstill()
    deliveries.observe([finding], sent_at=clock[0])
    clock[0] += 600
    assert deliveries.problem() is None


def test_a_late_answer_to_an_old_request_counts_from_what_was_taken_meanwhile(clock: list[float]) -> None:
    deliveries = Standstill()
    began = clock[0]
    clock[0] += 20
    deliveries.observe([DONE], sent_at=clock[0] - 0.1)
    deliveries.observe([SILENT], sent_at=began)
    assert deliveries.problem() is None
    clock[0] += LONGEST + 0.1
    assert deliveries.problem() is not None
