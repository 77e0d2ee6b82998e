"""Listening for new events: a hint that wakes an idle lane; polling goes on underneath.

A pooler in transaction mode passes no notification on, and a dead link goes unnoticed. So the worker
notifies itself through another connection, and relies on LISTEN only while these notifications arrive.
"""

from time import sleep
from uuid import uuid4

import structlog

from outboxctl.core.schema import notify
from outboxctl.core.schema.notify import ChannelListener, NotifyState
from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.settings import NotifyPolicy
from outboxctl.worker.context import WorkerContext

log = structlog.get_logger()
CHECK_SECONDS = 5.0  # between two checks whether the database notifies
PATIENCE = 3.0  # seconds in which our own notification must have arrived
SILENCE = 60.0  # seconds without any until we notify ourselves again
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds until the next try after an error
TICK = 0.5  # seconds until a stop is noticed: a wait for notifications does not end by it
# Seconds between two wake-ups: a lone event is claimed at once, those of a stream some at a time. A batch of
# one costs the worker 2 ms of CPU, so a wake-up for each of 500 events a second would take a whole core.
PACE = 0.005
NOT_RECEIVED = "what this worker notified itself of has not arrived"
HINT = "a pooler in transaction mode does not pass it on: give PostgreSQL's own address, or OUTBOX_NOTIFY=off"


class Listener:
    """A thread of its own calls `turn` again and again."""

    def __init__(self, context: WorkerContext) -> None:
        self._on = context.settings.notify is not NotifyPolicy.OFF
        self._database, self._signals, self._metrics = context.database, context.signals, context.metrics
        self._pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)
        self._listening = self._warned = False

    def turn(self) -> None:
        """Listen for as long as it works. An error costs the hint, and nothing else."""
        if not (self._on and self._pauses.due(monotonic())):
            return
        problem = self._listen()
        self._listening = self._signals.hearing = False
        self._metrics.set("notify_listening", 0)
        if not problem:
            self._pauses.ended(monotonic() + CHECK_SECONDS)
            return
        self._pauses.failed(monotonic())
        if not (self._warned or self._signals.stopping):
            self._warned = True
            hint = problem.hint or HINT  # whether the login or the server is at fault is said by the error
            log.warning("new events are only polled for", problem=str(problem), hint=hint)

    def _listen(self) -> OutboxctlError | None:
        """What went wrong; None if the database does not notify, or the worker stops."""
        try:
            switch = self._switch()
            if not switch.on:
                return None
            with notify.listening(self._database, switch.channel) as ear:
                return self._receive(ear)
        except OutboxctlError as error:
            return error

    def _receive(self, ear: ChannelListener) -> OutboxctlError | None:
        while self._receives_own(ear):
            self._report_listening()
            self._wake_lanes(ear)
            if self._signals.stopping or not self._still_on(ear):
                return None
        return OutboxctlError(NOT_RECEIVED, hint=HINT)

    def _receives_own(self, ear: ChannelListener) -> bool:
        own = str(uuid4())
        with self._database.begin() as connection:
            notify.send(connection, ear.channel, own)
        end = monotonic() + PATIENCE
        while (left := end - monotonic()) > 0:
            if own in self._arrived(ear, left):
                return True
        return False

    def _report_listening(self) -> None:
        if not self._listening:
            log.info("listening for new events")
        self._listening, self._warned = True, False
        self._pauses.ended()
        self._signals.hearing = True
        self._metrics.set("notify_listening", 1)
        self._signals.wake()  # events that came before

    def _wake_lanes(self, ear: ChannelListener) -> None:
        """Wake a lane for each notification, until none comes for SILENCE, or the worker stops."""
        last = monotonic()
        while monotonic() - last < SILENCE and not self._signals.stopping:
            if self._arrived(ear, TICK):
                last = monotonic()
                sleep(PACE)

    def _arrived(self, ear: ChannelListener, seconds: float) -> list[str]:
        """Payloads that arrived; only an empty one means new events: the others are workers' own checks."""
        payloads = ear.receive(seconds)
        if "" in payloads:
            self._signals.wake()
        return payloads

    def _still_on(self, ear: ChannelListener) -> bool:
        switch = self._switch()
        return switch.on and switch.channel == ear.channel

    def _switch(self) -> NotifyState:
        with self._database.begin() as connection:
            return notify.status(connection)
