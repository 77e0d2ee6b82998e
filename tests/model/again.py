"""The model's worker that repeats deletes: the real one, on the model's database and sink."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from model.oracle import LEASE
from model.weather import FAIR, LATE, WEATHERS, Sky
from outboxctl.core.database import Database
from outboxctl.core.sql import text
from outboxctl.domain.clock import Deadline
from outboxctl.metrics.registry import Metrics
from outboxctl.sink.delivery.bisect import Bisection
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.lane.delivering import Delivering
from outboxctl.worker.upkeep.deletes import DeleteRepeater

WAITING = text("SELECT count(*) FROM outbox_deletes")
SIZE = 2  # deletes a batch


class DiedError(Exception):
    """The worker is killed."""


class Again:
    """One worker after the other; each may be killed once it has sent a batch."""

    def __init__(self, database: Database, sky: Sky) -> None:
        self._database, self._sky = database, sky
        self._weather, self._victim, self._dies = FAIR, 0, False

    def turn(self, weather: str = FAIR, victim: int = 0, *, dies: bool = False) -> bool:
        """A worker sends what is due; whether some are left, due or not."""
        self._weather, self._victim, self._dies = weather, victim, dies
        with suppress(DiedError):
            self._worker().turn()
        return self.waiting()

    def waiting(self) -> bool:
        """Whether a delete is still to be sent again."""
        with self._database.begin() as connection:
            return bool(connection.execute(WAITING).scalar())

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As a sink does it."""
        id_ = actions[self._victim % len(actions)].id
        bisection = Bisection(
            lambda some: (
                self._sky.send(some, WEATHERS[self._weather], id_) if deadline.seconds_left() > 0 else None
            )
        )
        findings = bisection.deliver(actions)
        if self._dies:
            raise DiedError
        return Delivery(findings, [])

    def _worker(self) -> DeleteRepeater:
        settings = SimpleNamespace(
            lease_seconds=LEASE,
            last_delete_seconds=LEASE + LATE,
            bulk_size=SIZE,
            elastic_index="any",
            max_batch_bytes=1_000_000,
            holds=lambda _: False,
        )
        context: Any = SimpleNamespace(
            settings=settings,
            database=self._database,
            metrics=Metrics(),
            untraced=nullcontext,
            signals=SimpleNamespace(stopping=False),
            reporter=_Reporter(),
        )
        context.of = lambda _: context
        unused: Any = None
        flow = Mock(away=False, declared=())
        return DeleteRepeater(context, unused, Delivering(context, flow, unused, self, unused), flow)


class _Reporter:
    """Where the database fails, so does the test."""

    def reporting(self, observer: str) -> AbstractContextManager[None]:
        assert observer == "deletes"
        return nullcontext()
