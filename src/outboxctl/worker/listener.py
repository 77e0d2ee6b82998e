"""Listening for new events: a hint that wakes an idle lane; polling goes on underneath.

What PostgreSQL promises ends at a pooler in transaction mode, or at a link that died quietly. So the
worker notifies itself, through another connection, and believes only what it hears.
"""

from time import sleep
from uuid import uuid4

import structlog

from outboxctl.core.schema import notify
from outboxctl.core.schema.notify import Ear, Switch
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.settings import NotifyPolicy
from outboxctl.worker.shared import Shared

log = structlog.get_logger()
LOOK = 5.0  # seconds between two looks at whether the database notifies
PATIENCE = 3.0  # seconds in which our own notification must have come
SILENCE = 60.0  # seconds without any until we notify ourselves again
LONGEST = 60.0  # seconds until the next try, at the most
TICK = 0.5  # seconds until a stop is noticed
# Seconds between two rings: a lone event is taken at once, of a stream some at a time. A batch of one
# costs the worker 2 ms of CPU, so a ring for each of 500 events a second would take a whole core.
PACE = 0.005
DEAF = "what this worker notified itself of has not arrived"
HINT = "a pooler in transaction mode does not pass it on: give PostgreSQL's own address, or OUTBOX_NOTIFY=off"


class Listener:
    """`turn` is called again and again by a thread of its own."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._next, self._tries = 0.0, 0
        self._hearing = self._complained = False

    def turn(self) -> None:
        """Listen for as long as it works. What goes wrong costs the hint, and nothing else."""
        if monotonic() < self._next or self._shared.settings.notify is NotifyPolicy.OFF:
            return
        problem = self._listen()
        self._hearing = False
        self._shared.metrics.set("notify_listening", 0)
        self._tries = self._tries + 1 if problem else 0
        self._next = monotonic() + (min(2.0**self._tries, LONGEST) if problem else LOOK)
        if problem and not self._complained and not self._shared.stopping.is_set():
            self._complained = True
            log.warning("new events are only polled for", problem=problem, hint=HINT)

    def _listen(self) -> str | None:
        """What went wrong; None if the database does not notify, or the worker stops."""
        try:
            switch = self._switch()
            if not switch.on:
                return None
            with notify.listening(self._shared.database, switch.channel) as ear:
                return self._keep_listening(ear)
        except OutboxctlError as error:
            return str(error)

    def _keep_listening(self, ear: Ear) -> str | None:
        while self._hears_itself(ear):
            self._is_well()
            self._pass_on(ear)
            if self._shared.stopping.is_set() or not self._still_on(ear):
                return None
        return DEAF

    def _hears_itself(self, ear: Ear) -> bool:
        own = str(uuid4())
        with self._shared.database.begin() as connection:
            notify.send(connection, ear.channel, own)
        end = monotonic() + PATIENCE
        while (left := end - monotonic()) > 0:
            if own in self._heard(ear, left):
                return True
        return False

    def _is_well(self) -> None:
        if not self._hearing:
            log.info("listening for new events")
        self._hearing, self._complained, self._tries = True, False, 0
        self._shared.metrics.set("notify_listening", 1)
        self._shared.bell.set()  # what came before we listened

    def _pass_on(self, ear: Ear) -> None:
        """Ring for what is heard, until there is silence for long, or the worker stops."""
        last = monotonic()
        while monotonic() - last < SILENCE and not self._shared.stopping.is_set():
            if self._heard(ear, TICK):
                last = monotonic()
                sleep(PACE)

    def _heard(self, ear: Ear, seconds: float) -> list[str]:
        """What has come; other workers' words to themselves show that we hear, and mean no work."""
        heard = ear.hear(seconds)
        if "" in heard:
            self._shared.bell.set()
        return heard

    def _still_on(self, ear: Ear) -> bool:
        switch = self._switch()
        return switch.on and switch.channel == ear.channel

    def _switch(self) -> Switch:
        with self._shared.database.begin() as connection:
            return notify.status(connection)
