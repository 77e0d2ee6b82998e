"""What can become of a bulk request on its way to the store and back, in this process."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fakes import faults
from fakes.store import Store
from model.clocks import Clocks
from outboxctl.domain.failures import Answer
from outboxctl.drills.proxy.wire import BulkOperation, parse_bulk
from outboxctl.sink.delivery.bulk import BulkAction, body, pair

Applied = Enum("Applied", "NOW NEVER LATER")
NOW, NEVER, LATER = Applied


@dataclass(frozen=True)
class Weather:
    """When a request is applied, and what comes back: the truth, put into another `shape`, or `answer`.

    `refusal` (status, error type) is for one entity of the request, the victim. With `only_victim`
    a request without it fares well.
    """

    applied: Applied = NOW
    answer: Answer | None = None
    shape: Callable[[Any], Any] | None = None
    refusal: tuple[int, str] | None = None
    only_victim: bool = False


def _none(kind: str) -> Answer:
    return Answer(0, kind, request=True)


def _status(status: int, kind: str = "") -> Answer:
    return Answer(status, kind, request=True)


FAIR = "fair"
WEATHERS = {
    FAIR: Weather(),
    "lost on the way": Weather(NEVER, _none("connection_lost")),
    "answer lost": Weather(NOW, _none("connection_lost")),
    "arrives after the timeout": Weather(LATER, _none("timeout")),
    "reset": Weather(NEVER, _none("reset")),
    "reset after it was applied": Weather(NOW, _none("reset")),
    "overloaded": Weather(NEVER, _status(429)),
    "unavailable": Weather(NEVER, _status(503)),
    "gateway gave up, applied": Weather(NOW, _status(502)),
    "no such index": Weather(NEVER, _status(404, "index_not_found_exception")),
    "too large": Weather(NEVER, _status(413), only_victim=True),
    "bad request because of one": Weather(NEVER, _status(400), only_victim=True),
    "one breaks the mapping": Weather(refusal=(400, "document_parsing_exception")),
    "one is rejected": Weather(refusal=(429, "es_rejected_execution_exception")),
    "the shard of one takes nothing": Weather(refusal=(503, "unavailable_shards_exception")),
    "an item is missing": Weather(shape=faults.ITEM_MISSING.shape),
    "items swapped": Weather(shape=faults.IDS_SWAPPED.shape, refusal=(400, "document_parsing_exception")),
    "another body": Weather(shape=faults.A_LIST.shape),
}


LATE = 15  # seconds: no request is held up on its way for longer


class Sky:
    """Stands between the workers and the store; `late` are the requests that are still on their way.

    Each with the time until which it may arrive.
    """

    def __init__(self, clocks: Clocks) -> None:
        self.store, self._clocks = Store(), clocks
        self._late: list[tuple[float, list[BulkOperation]]] = []

    @property
    def late(self) -> list[tuple[float, list[BulkOperation]]]:
        """The others will never arrive."""
        self._late = [each for each in self._late if each[0] >= self._clocks.steady]
        return self._late

    def send(self, actions: Sequence[BulkAction], weather: Weather, victim: str) -> list[Answer] | Answer:
        """One bulk request: its answer as the worker understands it."""
        there = any(action.id == victim for action in actions)
        weather = weather if there or not weather.only_victim else WEATHERS[FAIR]
        sent = parse_bulk(body(actions))
        if weather.applied is LATER:
            self.late.append((self._clocks.steady + LATE, sent))
        if weather.applied is NOW:
            answer = self._apply(sent, weather.refusal, victim)
            answer = weather.shape(answer) if weather.shape else answer
        return weather.answer or pair(actions, answer)

    def arrive(self, number: int) -> None:
        """A request that was given up long ago is applied after all."""
        self._apply(self.late.pop(number)[1], None, "")

    def _apply(self, sent: Iterable[BulkOperation], refusal: tuple[int, str] | None, victim: str) -> Any:
        items = [
            action.refused(refusal[0], {"type": refusal[1], "reason": "said the weather"})
            if refusal and action.id == victim
            else self.store.bulk([action], index="any")["items"][0]
            for action in sent
        ]
        return {"errors": any("error" in o for i in items for o in i.values()), "items": items}
