"""Pages of documents: what is sent at once, what becomes of the rest, and how many rows are read for them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any
from unittest.mock import MagicMock

import pytest

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.documents.since import Since
from outboxctl.core.projections import events
from outboxctl.domain.failures import DONE, Answer, classify
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import DOCUMENTS
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.lane.pages import unfold
from outboxctl.worker.settling.outcome import RetryPolicy, decide
from outboxctl.worker.settling.tally import settled

pytestmark = pytest.mark.no_servers
KEYS = [f"k{n}" for n in range(100, 300)]
PAGE, OTHER = (Claimed(x * 36, json.dumps(KEYS), "upsert", None, 1, follow=DOCUMENTS) for x in "po")
AGAIN = PAGE._replace(attempts=2)
REFUSED = classify(Answer(400, "document_parsing_exception", "no"))


def single(count: int) -> list[Claimed]:
    """So many events of one document each."""
    return [Claimed(f"{n:036d}", str(n), "upsert", None, 1) for n in range(count)]


@pytest.mark.parametrize(
    ("claimed", "together", "requests", "later"),
    [
        ([PAGE], 200, [200], 0),
        ([PAGE], 199, [0], 0),
        ([PAGE], 0, [0], 0),
        ([AGAIN], 200, [0], 0),
        ([*single(100), PAGE], 300, [300], 0),
        ([*single(199), PAGE], 200, [199, 200], 0),
        ([PAGE, *single(1), OTHER], 200, [1, 200], 1),
        (single(199), 200, [199], 0),
    ],
)
def test_no_more_documents_are_sent_at_once_than_may_be(
    claimed: list[Claimed], together: int, requests: list[int], later: int
) -> None:
    found = unfold(claimed, together, exclusive=False)
    assert [len(request) for request in found.requests] == requests
    assert len(found.later) == later


@pytest.mark.parametrize(("taken", "counted"), [(0, 0), (1, 1), (200, 1)])
def test_what_is_not_done_has_an_event_and_a_page_of_which_nothing_is_done_is_no_progress(
    taken: int, counted: int
) -> None:
    """One of which nothing is known, the last of those not taken, is never lost."""
    found = unfold([PAGE], 200, exclusive=False)
    (documents,) = found.requests
    judged = [(event, DONE if n < taken else REFUSED) for n, event in enumerate(documents)]
    judged, splits = found.folded(judged[: max(taken, 199)])
    assert [key for split in splits for key in split.keys] == KEYS[taken:]
    outcomes = decide(judged, RetryPolicy(3, 0.5, 30), Random(1))
    assert outcomes.done == [PAGE.id]
    metrics = Metrics()
    assert settled(metrics, outcomes, {PAGE.id}, set()) == counted
    processed = f'outbox_processed_total{{op="upsert",projection="{PROJECTION}"}} 1.0'
    assert processed in metrics.snapshot().decode()


def test_rows_that_name_many_documents_are_read_a_few_at_a_time() -> None:
    read = list[int]()

    def partitions(size: int) -> Iterator[list[tuple[str, int, bool]]]:
        for start in range(0, 1_000, size):
            read.append(size)
            yield [
                (json.dumps([f"{row}-{n}" for n in range(9)]), DOCUMENTS, True)
                for row in range(start, start + size)
            ]

    rows = MagicMock(partitions=partitions)
    connection: Any = MagicMock(execute=lambda *_, **__: rows)
    now = datetime.now(UTC)
    found = events.changed(connection, "product", Since(now, now), size=500)
    assert len(next(found)) == 500
    assert sum(read) <= events.ROWS
    assert [len(some) for some in found] == [500] * 17
